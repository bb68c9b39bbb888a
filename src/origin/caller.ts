/** One question to a registry, with credentials where they are wanted. */
import { createAuthenticator, type CredentialsProvider } from './auth.ts';
import type { NotFound } from './errors.ts';
import { type Answer, explain, type Question, type Transport } from './transport.ts';

/** A question. */
export interface Call {
  readonly method: 'GET' | 'HEAD';
  readonly url: URL;
  readonly scope: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
}

/** Asks, again where that may help, and tells "not there" from everything else. Throws {@link import('./errors.ts').OriginError}, or the signal's reason. */
export type Caller = <T extends object>(question: Call, use: (answer: Answer) => Promise<T>) => Promise<T | NotFound>;

/** Who asks, and whom. */
export interface CallerOptions {
  readonly baseUrl: URL;
  readonly userAgent: string;
  readonly credentials?: CredentialsProvider | undefined;
}

/** Makes a caller. It keeps the tokens that it was given. */
export function createCaller(transport: Transport, { baseUrl, credentials = null, userAgent }: CallerOptions): Caller {
  const authenticator = createAuthenticator({ registry: baseUrl, credentials, transport, userAgent });
  return ({ method, url, scope, headers, signal }, use) =>
    transport.retrying(async () => {
      const question: Question = {
        method,
        url,
        // Blobs must arrive as they are: what a proxy compresses on the way has another length, and `fetch` unpacks it.
        headers: { 'user-agent': userAgent, 'accept-encoding': 'identity', ...headers },
        signal,
      };
      const sent = await authenticator.authorization(scope, signal);
      let answer = await transport.ask({ ...question, authorization: sent });
      if (answer.status === 401 && !answer.elsewhere) {
        const better = await authenticator.answer(answer.headers.get('www-authenticate'), scope, sent, signal);
        if (better !== null) {
          await answer.discard();
          answer = await transport.ask({ ...question, authorization: better });
        }
      }
      if (answer.status !== 404) return use(answer);
      return { kind: 'not-found' as const, ...(await explain(answer)) };
    }, signal);
}
