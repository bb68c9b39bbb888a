/** The part of the network that a host is in, by its name. Names that resolve to other parts are not detected. */

/**
 * From the widest to the narrowest. `private`: of a local network. `link-local` has the metadata services of clouds.
 */
export type NetworkScope = 'public' | 'private' | 'link-local' | 'loopback';

/** IPv4 blocks that are not public (RFC 6890, RFC 5771): first address, length of the prefix, scope. */
const IPV4_BLOCKS = [
  [[0, 0, 0, 0], 8, 'loopback'],
  [[10, 0, 0, 0], 8, 'private'],
  [[100, 64, 0, 0], 10, 'private'],
  [[127, 0, 0, 0], 8, 'loopback'],
  [[169, 254, 0, 0], 16, 'link-local'],
  [[172, 16, 0, 0], 12, 'private'],
  [[192, 0, 0, 0], 24, 'private'],
  [[192, 168, 0, 0], 16, 'private'],
  [[198, 18, 0, 0], 15, 'private'],
  [[224, 0, 0, 0], 3, 'private'],
] as const satisfies readonly (readonly [readonly number[], number, NetworkScope])[];

/** The same for IPv6 (RFC 4291, RFC 4193). */
const IPV6_BLOCKS = [
  [[0xfc00], 7, 'private'],
  [[0xfe80], 10, 'link-local'],
  [[0xfec0], 10, 'private'],
  [[0xff00], 8, 'private'],
] as const satisfies readonly (readonly [readonly number[], number, NetworkScope])[];

/** IPv6 prefixes that embed an IPv4 address in the last 32 bits: mapped, compatible, NAT64 (RFC 6052). */
const IPV4_IN_IPV6 = ['0:0:0:0:0:65535', '0:0:0:0:0:0', '100:65435:0:0:0:0'];

/** Names of local networks: RFC 6761, RFC 6762, RFC 8375, and ICANN's `.internal`. */
const LOCAL_NAME = /(?:^[^.]+|\.(?:local|internal|home\.arpa))$/;

/** The scope of a URL's host. URLs have IPv4 addresses in dotted form, whatever form they were written in. */
export function scopeOf({ hostname }: Pick<URL, 'hostname'>): NetworkScope {
  if (hostname.startsWith('[')) return scopeOfIpv6(groupsOf(hostname.slice(1, -1)));
  const name = hostname.replace(/\.$/, '');
  if (/^\d{1,3}(?:\.\d{1,3}){3}$/.test(name)) return inBlocks(IPV4_BLOCKS, 8, name.split('.').map(Number));
  if (name === 'localhost' || name.endsWith('.localhost')) return 'loopback';
  return LOCAL_NAME.test(name) ? 'private' : 'public';
}

/**
 * Whether a host may lead to another one: to a public one always, else only from the same scope, or from this machine.
 * A public upstream must not reach what only this machine or its network reaches.
 */
export function mayLeadTo(from: Pick<URL, 'hostname'>, to: Pick<URL, 'hostname'>): boolean {
  const [source, target] = [scopeOf(from), scopeOf(to)];
  return target === 'public' || target === source || source === 'loopback';
}

function scopeOfIpv6(groups: readonly number[]): NetworkScope {
  const [high = 0, low = 0] = groups.slice(6);
  const isEmbedded = IPV4_IN_IPV6.includes(groups.slice(0, 6).join(':'));
  // `::` and `::1` are of this machine.
  if (isEmbedded && high === 0 && low <= 1) return 'loopback';
  if (isEmbedded) return inBlocks(IPV4_BLOCKS, 8, [high >> 8, high & 0xff, low >> 8, low & 0xff]);
  return inBlocks(IPV6_BLOCKS, 16, groups);
}

/** The eight groups of an address in the form that URLs have: one `::` at most, no dotted part. */
function groupsOf(address: string): readonly number[] {
  const [head = '', tail] = address.split('::');
  const parse = (text: string): number[] => (text === '' ? [] : text.split(':').map((group) => parseInt(group, 16)));
  const [first, last] = [parse(head), parse(tail ?? '')];
  return [...first, ...Array<number>(8 - first.length - last.length).fill(0), ...last];
}

function inBlocks(
  blocks: readonly (readonly [readonly number[], number, NetworkScope])[],
  width: number,
  parts: readonly number[],
): NetworkScope {
  const found = blocks.find(([first, length]) =>
    parts.every((part, index) => {
      const drop = width - Math.min(width, Math.max(0, length - index * width));
      return part >> drop === (first[index] ?? 0) >> drop;
    }),
  );
  return found?.[2] ?? 'public';
}
