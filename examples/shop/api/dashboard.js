const services = process.env.SERVICES_URL

export function dashboard(app) {
  // Three services, one after the other: 50 + 80 + 120 ms.
  app.get('/dashboard/:id', async (request) => {
    const { id } = request.params
    const profile = await ask(`profiles/${id}`)
    const recommendations = await ask(`recommendations/${id}`)
    const loyalty = await ask(`loyalty/${id}`)
    return { profile, recommendations, loyalty }
  })
}

async function ask(path) {
  const answer = await fetch(`${services}/${path}`)
  return answer.json()
}
