/** The platform's rate-limit binding: counts a key, says whether it is still within the limit. */
export interface RateLimiter {
  limit(options: { key: string }): Promise<{ success: boolean }>;
}

/** Seconds to wait after too many failed logins: the longest period that the platform's limits have. */
export const LOGIN_RETRY_AFTER = 60;

/**
 * Counts a failed login and says whether the caller had too many. Only failures count, and whoever presents what holds
 * always gets in: tokens cannot be guessed, so the limit is there to keep noise out, not to lock out everybody behind
 * an address from which somebody tries.
 */
export async function tooManyFailures(limiter: RateLimiter | null, address: string | null): Promise<boolean> {
  if (limiter === null) return false;
  const { success } = await limiter.limit({ key: `login:${loginKey(address)}` });
  return !success;
}

/** What stands for one client: an IPv4 address, or the /64 that one IPv6 customer has whole. */
export function loginKey(address: string | null): string {
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
