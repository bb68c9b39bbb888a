/**
 * What R2's documentation says of R2 that its simulator does not do: one rule each, for a proxy before the simulator.
 * They do not look at a clock, so that tests are repeatable.
 */
import type { Chooser, Fault, Seen } from '../../faults/proxy.ts';

/** Makes the rule anew, with nothing seen yet. */
export type R2Mode = () => Chooser;

export const R2_MODES = {
  // "S3 API compatibility": R2 does not support the HTTP 100 response.
  'no answer to Expect: 100-continue': () => () => ({ kind: 'no-continue' }),
  // "Error codes", 10048: all parts but the last must have one size.
  'unequal parts refused': unequalParts,
  // "Limits": one write a second to a key; "Error codes", 10058.
  '429 for a second write to a key': secondWrites,
  // S3's API reference: DeleteObjects requires Content-MD5. Servers of before 2025 know nothing newer.
  'DeleteObjects only with Content-MD5 and without newer checksums': () => (seen) => {
    if (seen.method !== 'POST' || !parametersOf(seen).has('delete')) return undefined;
    const newer = Object.keys(seen.headers).some((name) => /^x-amz-(?:sdk-)?checksum-/.test(name));
    if (newer) return refusal(501, 'NotImplemented', 'A checksum header is not implemented.');
    return /^[\w+/]{22}==$/.test(String(seen.headers['content-md5']))
      ? undefined
      : refusal(400, 'InvalidRequest', 'Missing required header for this request: Content-MD5');
  },
} as const satisfies Readonly<Record<string, R2Mode>>;

/** All rules at once: R2, as it is documented. */
export function asDocumented(): Chooser {
  const rules = Object.values(R2_MODES).map((mode): Chooser => mode());
  // The first rule refuses nothing, and stands where no other does.
  return (seen) => rules.map((rule) => rule(seen)).reduce((all, fault) => (fault?.kind === 'answer' ? fault : all));
}

function unequalParts(): Chooser {
  const sizes = new Map<string, Map<number, number>>();
  return (seen) => {
    const parameters = parametersOf(seen);
    const upload = parameters.get('uploadId');
    if (upload === null) return undefined;
    const parts = sizes.get(upload) ?? new Map<number, number>();
    sizes.set(upload, parts);
    if (seen.method === 'PUT') {
      parts.set(Number(parameters.get('partNumber')), Number(seen.headers['content-length']));
      return undefined;
    }
    if (seen.method !== 'POST') return undefined;
    const ordered = [...parts].sort(([a], [b]) => a - b).map(([, size]) => size);
    return new Set(ordered.slice(0, -1)).size > 1
      ? refusal(400, 'InvalidPart', 'All non-trailing parts must have the same size.')
      : undefined;
  };
}

/** Refuses each write that follows another one to its key, once: many writers at once may not have to try for ever. */
function secondWrites(): Chooser {
  const written = new Set<string>();
  const refused = new Set<string>();
  return (seen) => {
    const [path = ''] = seen.path.split('?');
    const parameters = parametersOf(seen);
    const isPart = parameters.has('partNumber');
    const isWrite =
      (seen.method === 'PUT' && !isPart) ||
      (seen.method === 'POST' && parameters.has('uploadId')) ||
      (seen.method === 'DELETE' && !parameters.has('uploadId'));
    if (!isWrite) return undefined;
    const write = `${seen.method} ${path} ${String(seen.headers['x-amz-content-sha256'])}`;
    if (!written.has(path) || refused.delete(write)) {
      written.add(path);
      return undefined;
    }
    refused.add(write);
    return refusal(429, 'TooManyRequests', 'Reduce your concurrent request rate for the same object.');
  };
}

function parametersOf({ path }: Seen): URLSearchParams {
  return new URL(path, 'http://s3').searchParams;
}

function refusal(status: number, code: string, message: string): Fault {
  return {
    kind: 'answer',
    status,
    headers: { 'content-type': 'application/xml' },
    body: `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>${message}</Message></Error>`,
  };
}
