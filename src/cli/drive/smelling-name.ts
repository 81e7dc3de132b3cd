/**
 * Smelling name: a path that says it does something, though it answers to GET.
 *
 * `GET /logout` is common, `GET /newsletter/unsubscribe/:token` is what links in mails are made of. Such
 * a route is not called even once to see what it does. Compared word by word, so that `/senders` and
 * `/deleted-items` are left alone; a word of a parameter does not count. Words that are nouns at least
 * as often (`post`, `store`, `block`, `edit` of a form) are not on the list: such a route is called
 * once, and what it does is seen.
 */
const words: ReadonlySet<string> = new Set(
  `
logout logoff signout signoff disconnect
  delete remove destroy erase purge wipe truncate drop clear flush
  send resend notify broadcast publish unpublish
  subscribe unsubscribe optout confirm verify activate deactivate enable disable
  approve reject accept decline cancel revoke refund charge pay
  reset rotate regenerate invalidate expire ban unban impersonate
  shutdown restart reboot kill crash exit quit terminate stop abort
  run execute exec trigger sync import migrate seed rebuild reindex recalculate deploy install
  callback webhook hook increment decrement vote upvote downvote like unlike
  insert update upsert save write upload
  `
    .trim()
    .split(/\s+/),
)

/** Said in two words. */
const pairs: ReadonlySet<string> = new Set([
  'log out',
  'log off',
  'sign out',
  'sign off',
  'opt out',
  'shut down',
  'clean up',
])

/** The word that smells, or undefined. */
export function smellOf(pattern: string): string | undefined {
  for (const segment of pattern.split('/')) {
    if (/^[:*{]/.test(segment)) continue
    const parts = segment
      .replace(/([a-z])([A-Z])/g, '$1 $2')
      .toLowerCase()
      .split(/[^a-z]+/)
      .filter((part) => part !== '')
    for (const [index, part] of parts.entries()) {
      if (words.has(part)) return part
      const pair = `${part} ${parts[index + 1] ?? ''}`
      if (pairs.has(pair)) return pair
    }
  }
  return undefined
}
