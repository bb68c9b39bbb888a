/** HEAD over HTTP/3 by curl, if the installed one has HTTP/3. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** What came of it. `length`: the value of Content-Length. */
export type CurlResult =
  | { readonly kind: 'answered'; readonly length: string | undefined }
  | { readonly kind: 'unable'; readonly why: string };

/** Sends HEAD over HTTP/3. */
export type RunCurl = (url: URL, headers: Readonly<Record<string, string>>) => Promise<CurlResult>;

const TIMEOUT_S = 20;

/** Runs curl. `program`: its name or path. */
export async function runCurl(
  url: URL,
  headers: Readonly<Record<string, string>>,
  program = 'curl',
): Promise<CurlResult> {
  const run = promisify(execFile);
  try {
    const { stdout } = await run(program, ['--version']);
    // A line of curl's own: `Features: alt-svc AsynchDNS … HTTP2 HTTP3 …`.
    if (!/^Features:.*\bHTTP3\b/m.test(stdout)) return { kind: 'unable', why: 'curl has no HTTP/3 here' };
  } catch {
    return { kind: 'unable', why: 'curl is not installed' };
  }
  const lines = Object.entries(headers).flatMap(([name, value]) => ['--header', `${name}: ${value}`]);
  try {
    const args = ['--http3-only', '--silent', '--head', '--max-time', String(TIMEOUT_S), ...lines, url.href];
    return readHead((await run(program, args)).stdout);
  } catch (error) {
    const code = (error as { code?: unknown }).code;
    return { kind: 'unable', why: `curl got no answer over HTTP/3 (exit ${String(code)})` };
  }
}

/** Reads what `curl --head` prints. */
export function readHead(text: string): CurlResult {
  if (!/^HTTP\/3 200\b/m.test(text)) {
    return { kind: 'unable', why: `curl got ${JSON.stringify(text.split(/\r?\n/)[0] ?? '')}` };
  }
  return { kind: 'answered', length: /^content-length: *(\d+)/im.exec(text)?.[1] };
}
