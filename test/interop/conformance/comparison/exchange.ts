/** One request, and everything of its response that is compared. */
import { createHash } from 'node:crypto';
import { Agent, type OutgoingHttpHeaders, request } from 'node:http';
import { payloadOf } from '../../../../src/manifest/signing/jws.ts';
import { FORMS, MEDIA_TYPE_OF_FORM } from '../../../../src/registry/media-type.ts';

/** A response, read whole. A response that breaks off has the status 0 and the reason as its body. */
export interface Exchange {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
}

const agent = new Agent({ keepAlive: true, maxSockets: 8 });

/**
 * Sends exactly these headers (`fetch` would add an `Accept`); a header with several values goes out in several lines.
 * Never rejects: a response that breaks off is a result, too.
 */
export function exchange(url: string, method: string, headers: OutgoingHttpHeaders): Promise<Exchange> {
  return new Promise((resolve) => {
    const fail = (error: Error): void => {
      resolve({ status: 0, headers: new Map(), body: Buffer.from(error.message) });
    };
    const sent = request(url, { method, headers, agent }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('error', fail);
      response.once('end', () => {
        const entries = Object.entries(response.headers).map(([name, value]) => [name, String(value)] as const);
        resolve({ status: response.statusCode ?? 0, headers: new Map(entries), body: Buffer.concat(chunks) });
      });
    });
    sent.once('error', fail);
    sent.end();
  });
}

/** What a response is, in one word or two: the form of the manifest, the code of the error, the status else. */
export function describe({ status, headers, body }: Exchange): string {
  if (status === 0) return 'breaks off';
  const type = (headers.get('content-type') ?? '').split(';')[0] ?? '';
  if (status >= 400) return `${String(status)} ${errorCodeOf(body)}`.trim();
  if (status !== 200) return String(status);
  const form = FORMS.find((one) => MEDIA_TYPE_OF_FORM[one] === type);
  return form === undefined ? '200' : `200 ${form}`;
}

/** The first code of the error envelope; empty where there is none. */
export function errorCodeOf(body: Buffer): string {
  try {
    const { errors } = JSON.parse(body.toString()) as { errors?: readonly { readonly code?: string }[] | null };
    return errors?.[0]?.code ?? '';
  } catch {
    return '';
  }
}

/** The digest of a body, as a registry computes it: of schema 1, the digest of the payload without signatures. */
export function contentDigest({ headers, body }: Exchange): string {
  const isSigned = headers.get('content-type') === MEDIA_TYPE_OF_FORM['docker-schema1'];
  return `sha256:${createHash('sha256')
    .update(isSigned ? payloadOf(body) : body)
    .digest('hex')}`;
}
