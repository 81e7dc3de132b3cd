/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/**
 * The page, in a real browser: what it draws, what it never does, and that everybody can use it.
 */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { type Browser, chromium, type Page } from 'playwright-core'
import { type DoctorDocument, type HtmlExtra, renderHtml } from '#src/report/index.js'
import { testChromium } from '../service.ts'
import { finding, route, sampleDocument, sampleExtra } from './sample-document.js'

const service = await testChromium()

describe('the page', { skip: service.skip }, () => {
  let browser: Browser
  let folder: string

  before(async () => {
    const { path, args, env } = service.it
    browser = await chromium.launch({ executablePath: path, args: [...args], env: { ...env } })
    folder = await mkdtemp(join(tmpdir(), 'hasten-page-'))
  })

  after(async () => {
    await browser?.close()
    if (folder !== undefined) await rm(folder, { recursive: true, force: true })
  })

  test('opens from a disk, draws its curves, loads nothing and complains of nothing', async () => {
    const { page, complaints, requests } = await open(sampleDocument())

    for (const id of ['curves', 'progress']) {
      const inked = await inkOf(page, `#${id} canvas`)
      assert.ok(inked > 500, `${id}: ${inked} pixels drawn`)
    }
    assert.deepEqual(complaints, [])
    assert.deepEqual(requests, ['file:'])
  })

  test('its policy lets in nothing but its own script', async () => {
    const { page, complaints } = await open(sampleDocument())

    const outcome = await page.evaluate(async () => {
      const script = document.createElement('script')
      script.textContent = 'window.injected = true'
      document.body.append(script)
      const image = await fetch('http://127.0.0.1:9/').then(
        () => 'fetched',
        () => 'refused',
      )
      return { isInjected: 'injected' in window, image }
    })

    assert.deepEqual(outcome, { isInjected: false, image: 'refused' })
    assert.ok(
      complaints.some((text) => text.includes('Content Security Policy')),
      complaints.join('\n'),
    )
  })

  test('what an application puts into names and errors stays text', async () => {
    const evil = [
      '</script><script>window.owned=1</script>',
      '<img src=x onerror="window.owned=1">',
      '"><svg onload=window.owned=1>',
      "' onmouseover='window.owned=1",
      '<!--<script>',
      '\u202egnp.exe\u0000\u001b[31m',
      '${window.owned=1}',
    ]
    const document = sampleDocument({
      target: evil.join(' '),
      routes: evil.map((text) => route('GET', `/${text}`, 10, 1, null, 5, { db: 1 })),
      notDriven: evil.map((text) => ({ method: text, route: text, reason: text })),
      notes: evil,
      crash: { code: 1, signal: null, message: evil.join('\n') },
      findings: evil.map((text, i) =>
        finding('slow-query', `GET /${text}`, text, 'likely', 10 + i, {
          routes: [text],
          evidence: [text],
          remedy: { sql: text, code: text, note: text },
        }),
      ),
    })

    const { page, complaints, requests } = await open(document)
    const names = await page.locator('#routes tbody th').allTextContents()

    assert.equal(await page.evaluate('window.owned'), undefined)
    assert.equal(await page.locator('img, svg[onload], [onmouseover], [onerror]').count(), 0)
    assert.deepEqual(complaints, [])
    assert.deepEqual(requests, ['file:'])
    assert.equal(names[0], `GET /${evil[0]}`)
    assert.equal(names[5], 'GET /\\u202egnp.exe\\x00\\x1b[31m')
  })

  test('filters by route, in tables, findings, waterfalls and curves', async () => {
    const { page } = await open(sampleDocument())

    await page.getByRole('searchbox', { name: 'Route' }).fill('REPORTS')

    assert.deepEqual(await page.locator('#routes tbody tr:visible th').allTextContents(), [
      'GET /reports/sales',
    ])
    assert.equal(await page.locator('article:visible').count(), 1)
    assert.equal(await page.locator('#waterfalls details:visible').count(), 1)
    assert.deepEqual(await page.locator('#curves-key .route').allTextContents(), [
      'GET /reports/sales',
    ])
    assert.match((await page.locator('#filter-status').textContent()) ?? '', /^\d+ of \d+ shown$/)

    await page.keyboard.press('Escape')

    assert.equal(await page.locator('#routes tbody tr:visible').count(), 5)
  })

  test('sorts the routes and says so', async () => {
    const { page } = await open(sampleDocument())

    await page.getByRole('button', { name: 'Errors' }).press('Enter')

    const head = page.locator('#routes th', { hasText: 'Errors' })
    assert.equal(await head.getAttribute('aria-sort'), 'descending')
    assert.equal(
      await page.locator('#routes tbody tr').first().locator('th').textContent(),
      'GET /reports/sales',
    )
  })

  test('copies a remedy as it is', async () => {
    const { page } = await open(sampleDocument())
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])

    const button = page.locator('#finding-1 .copy').first()
    await button.focus()
    await page.keyboard.press('Enter')
    await page.locator('#copy-status', { hasText: 'Copied' }).waitFor({ state: 'attached' })

    assert.equal(
      await page.evaluate(() => navigator.clipboard.readText()),
      'SELECT * FROM order_items\nWHERE order_id = ANY($1)',
    )
  })

  test('the keyboard reaches everything, and shows where it is', async () => {
    const { page } = await open(sampleDocument())

    const reached = new Set<string>()
    const unseen: string[] = []
    for (let i = 0; i < 120; i++) {
      await page.keyboard.press('Tab')
      const focus = await page.evaluate(() => {
        const element = document.activeElement
        if (element === null || element === document.body) return undefined
        const name = `${element.tagName} ${element.getAttribute('href') ?? element.id}${element.className}`
        return { name, outline: getComputedStyle(element).outlineStyle }
      })
      if (focus === undefined) break
      reached.add(focus.name.split(' ')[0] ?? '')
      if (focus.outline === 'none') unseen.push(focus.name)
      if (i === 0) assert.match(focus.name, /#main/, 'the way to the report comes first')
    }

    assert.deepEqual([...reached].sort(), ['A', 'BUTTON', 'DIV', 'INPUT', 'PRE', 'SUMMARY'])
    assert.deepEqual(unseen, [])
  })

  test('has landmarks, one order of headings, and a name for every picture and field', async () => {
    const { page } = await open(sampleDocument())

    const levels = await page
      .locator('h1, h2, h3, h4')
      .evaluateAll((all) => all.map(({ tagName }) => Number(tagName.slice(1))))
    const nameless = await page.evaluate(() =>
      [...document.querySelectorAll('[role=img], [role=region], nav, section, article, input')]
        .filter((element) => {
          const label = element.getAttribute('aria-labelledby')
          const text =
            element.getAttribute('aria-label') ??
            (label === null ? '' : document.getElementById(label)?.textContent) ??
            ''
          const field = element.id && document.querySelector(`label[for="${element.id}"]`)
          return text.trim() === '' && !field
        })
        .map((element) => element.outerHTML.slice(0, 120)),
    )
    const ids = await page.locator('[id]').evaluateAll((all) => all.map(({ id }) => id))

    assert.equal(levels.filter((level) => level === 1).length, 1)
    for (const [i, level] of levels.entries()) {
      assert.ok(i === 0 || level <= (levels[i - 1] ?? 0) + 1, levels.join(' '))
    }
    assert.deepEqual(nameless, [])
    assert.equal(new Set(ids).size, ids.length, 'ids are unique')
    for (const role of ['banner', 'main', 'navigation', 'contentinfo', 'search'] as const) {
      assert.equal(await page.getByRole(role).count(), 1, role)
    }
  })

  test('all text stands out against what is behind it, light and dark, and the two differ', async () => {
    const pages: string[] = []
    for (const colorScheme of ['light', 'dark'] as const) {
      const { page } = await open(
        sampleDocument({ crash: { code: 1, signal: null, message: 'x' } }),
        { colorScheme },
      )
      const faint = await page.evaluate(faintTexts)
      const drawn = await page.evaluate(faintColours)

      assert.deepEqual(faint, [], colorScheme)
      assert.deepEqual(drawn, [], colorScheme)
      pages.push(await page.evaluate(() => getComputedStyle(document.body).backgroundColor))
    }
    assert.notEqual(pages[0], pages[1])
  })

  test('draws its curves anew when the scheme changes', async () => {
    const { page } = await open(sampleDocument())
    const light = await colourOf(page, '#curves canvas')

    await page.emulateMedia({ colorScheme: 'dark' })

    await page.waitForFunction(
      () => getComputedStyle(document.body).backgroundColor !== 'rgb(246, 247, 249)',
    )
    assert.notDeepEqual(await colourOf(page, '#curves canvas'), light)
  })

  test('prints in light colours, several pages, without what only works on a screen', async () => {
    const { page } = await open(sampleDocument(), { colorScheme: 'dark' })

    await page.emulateMedia({ media: 'print' })
    const background = await page.evaluate(() => getComputedStyle(document.body).backgroundColor)
    const pdf = await page.pdf({ format: 'A4' })
    const pages = pdf.toString('latin1').match(/\/Type\s*\/Page\b/g)?.length ?? 0

    assert.equal(background, 'rgb(255, 255, 255)')
    assert.equal(await page.locator('.copy:visible, .filter:visible').count(), 0)
    assert.ok(pdf.length > 20_000 && pages >= 2, `${pdf.length} bytes, ${pages} pages`)
  })

  test('fits a phone: nothing but tables scrolls sideways', async () => {
    const { page } = await open(sampleDocument(), { viewport: { width: 360, height: 740 } })

    const overflow = await page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    )

    assert.equal(overflow, 0)
  })

  test('without script all of the report is there to be read', async () => {
    const { page } = await open(sampleDocument(), { javaScriptEnabled: false })

    assert.equal(await page.locator('article:visible').count(), 5)
    assert.equal(await page.locator('#routes tbody tr:visible').count(), 5)
    assert.equal(await page.locator('.filter:visible, .copy:visible').count(), 0)
  })

  test('a thousand routes make a page of bounded size that still works', async () => {
    const document = sampleDocument({
      routes: Array.from({ length: 1000 }, (_, i) =>
        route('GET', `/a-rather-long-route-name/${i}/:id/items/:item`, 100, 30, 2, 40, {
          db: 0.5,
          poolWait: 0.2,
          http: 0.1,
          cpu: 0.1,
          other: 0.1,
        }),
      ),
      findings: Array.from({ length: 1000 }, (_, i) =>
        finding(
          'n-plus-one',
          `GET /a-rather-long-route-name/${i}/:id/items/:item`,
          `Title ${i}`,
          'likely',
          i,
          {
            evidence: [
              'Something was seen that takes a sentence to tell, and then some more of it.',
            ],
            remedy: { sql: 'SELECT * FROM items WHERE id = ANY($1)' },
          },
        ),
      ),
    })
    const extra = sampleExtra(document)

    const page = renderHtml(document, extra)
    const { page: opened, complaints } = await open(document, {}, extra)

    assert.ok(page.length < 2_500_000, `${page.length} characters`)
    assert.deepEqual(complaints, [])
    await opened.getByRole('searchbox', { name: 'Route' }).fill('/777/')
    assert.equal(await opened.locator('#routes tbody tr:visible').count(), 1)
  })

  test('a crash before the first request, with nothing to show, is a page as well', async () => {
    const { page, complaints } = await open(
      sampleDocument({
        routes: [],
        findings: [],
        notDriven: [],
        load: { mode: 'discovered', ratePerSecond: 0, seconds: 0, requests: 0, errors: 0 },
        crash: { code: null, signal: 'SIGSEGV', message: 'Segmentation fault' },
      }),
      {},
      {},
    )

    assert.deepEqual(complaints, [])
    assert.match((await page.getByRole('alert').textContent()) ?? '', /SIGSEGV/)
  })

  async function open(
    document: DoctorDocument,
    options: Parameters<Browser['newPage']>[0] = {},
    extra: HtmlExtra = sampleExtra(document),
  ) {
    const file = join(folder, `${Math.random().toString(36).slice(2)}.html`)
    await writeFile(file, renderHtml(document, extra))
    const page = await browser.newPage({ viewport: { width: 1280, height: 900 }, ...options })
    const complaints: string[] = []
    const requests: string[] = []
    page.on('console', (message) => complaints.push(`${message.type()}: ${message.text()}`))
    page.on('pageerror', (error) => complaints.push(String(error)))
    page.on('request', (request) => {
      const { protocol } = new URL(request.url())
      if (protocol !== 'data:') requests.push(protocol)
    })
    await page.goto(pathToFileURL(file).href)
    return { page, complaints, requests }
  }
})

/** Pixels that are not transparent. */
async function inkOf(page: Page, selector: string): Promise<number> {
  return page.locator(selector).evaluate((element) => {
    const canvas = element as HTMLCanvasElement
    const { data } = canvas.getContext('2d')?.getImageData(0, 0, canvas.width, canvas.height) ?? {
      data: [],
    }
    let inked = 0
    for (let i = 3; i < data.length; i += 4) if (data[i] !== 0) inked += 1
    return inked
  })
}

/** The darkest and lightest opaque pixel. */
async function colourOf(page: Page, selector: string): Promise<number[]> {
  return page.locator(selector).evaluate((element) => {
    const canvas = element as HTMLCanvasElement
    const { data } = canvas.getContext('2d')?.getImageData(0, 0, canvas.width, canvas.height) ?? {
      data: [],
    }
    const sums: number[] = []
    for (let i = 0; i < data.length; i += 4) {
      if (data[i + 3] === 255) sums.push((data[i] ?? 0) + (data[i + 1] ?? 0) + (data[i + 2] ?? 0))
    }
    return [Math.min(...sums.slice(0, 50_000)), Math.max(...sums.slice(0, 50_000))]
  })
}

/** In the page: visible texts below 4.5 : 1 (WCAG 2.2, 1.4.3), by the first opaque background. */
function faintTexts(): string[] {
  const faint: string[] = []
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
    const element = node.parentElement
    if (element === null || (node.textContent ?? '').trim() === '') continue
    if (element.closest('script, style, .hidden-visually, svg') !== null) continue
    if (element.getClientRects().length === 0) continue
    const ratio = contrast(getComputedStyle(element).color, backgroundOf(element))
    if (ratio < 4.5) faint.push(`${ratio.toFixed(2)} ${element.className} ${node.textContent}`)
  }
  return faint

  function backgroundOf(element: Element): string {
    for (let at: Element | null = element; at !== null; at = at.parentElement) {
      const { backgroundColor } = getComputedStyle(at)
      if (!backgroundColor.endsWith(', 0)')) return backgroundColor
    }
    return 'rgb(255, 255, 255)'
  }
  function contrast(a: string, b: string): number {
    const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p) as [number, number]
    return (x + 0.05) / (y + 0.05)
  }
  function luminance(colour: string): number {
    const [r = 0, g = 0, b = 0] = (colour.match(/[\d.]+/g) ?? []).map((part) => {
      const value = Number(part) / 255
      return value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
}

/** In the page: colours of bars and curves below 3 : 1 against the card (WCAG 2.2, 1.4.11). */
function faintColours(): string[] {
  const style = getComputedStyle(document.documentElement)
  const luminance = (name: string) => {
    const hex = style.getPropertyValue(`--${name}`).trim()
    const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => {
      const value = Number.parseInt(hex.slice(at, at + 2), 16) / 255
      return value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const card = luminance('card')
  return ['db', 'poolWait', 'connect', 'cache', 'http', 'cpu', 'serialise', 'other'].filter(
    (name) => {
      const [x, y] = [luminance(name), card].sort((p, q) => q - p) as [number, number]
      return (x + 0.05) / (y + 0.05) < 3
    },
  )
}
