/** The platform's rate-limit binding: counts a key, and reports whether it is within the limit. */
export interface RateLimiter {
  limit(options: { key: string }): Promise<{ success: boolean }>;
}

/** Seconds to wait after too many failed logins: the longest period that the platform supports. */
export const LOGIN_RETRY_AFTER = 60;

/**
 * Counts a failed login, and reports whether the caller has had too many. Valid credentials always pass. Tokens cannot
 * be guessed, so the limit only reduces load, and does not lock out other clients behind the same address.
 */
export async function tooManyFailures(limiter: RateLimiter | null, address: string | null): Promise<boolean> {
  if (limiter === null) return false;
  const { success } = await limiter.limit({ key: `login:${clientKey(address)}` });
  return !success;
}

/** The key of a client: its IPv4 address, or its IPv6 /64, which one customer has whole. */
export function clientKey(address: string | null): string {
  if (address === null) return 'unknown';
  if (!address.includes(':')) return address;
  const [head = '', tail = ''] = address.toLowerCase().split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === '' ? [] : tail.split(':');
  const groups = address.includes('::')
    ? [...before, ...Array<string>(Math.max(0, 8 - before.length - after.length)).fill('0'), ...after]
    : before;
  return `${groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':')}::/64`;
}
