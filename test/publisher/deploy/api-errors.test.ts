import { describe, expect, it } from 'vitest';
import { helpFor, readApiErrors } from '../../../src/publisher/deploy/api-errors.ts';

/** As Wrangler 4.155 prints an error of Cloudflare's API. */
const PRINTED = `
\u001b[31m✘ \u001b[41;31m[\u001b[41;97mERROR\u001b[41;31m]\u001b[0m \u001b[1mA request to the Cloudflare API (/accounts/a/workers/scripts/gantry) failed.\u001b[0m

  Worker exceeds the size limit of 3 MiB. [code: 10027]

  If you think this is a bug, please open an issue at: \u001b[4mhttps://github.com/cloudflare/workers-sdk/issues/new/choose\u001b[0m
`;

describe("errors of Cloudflare's API", () => {
  it('are read from what Wrangler prints, each once', () => {
    expect(readApiErrors(PRINTED + PRINTED)).toEqual([
      { code: 10_027, message: 'Worker exceeds the size limit of 3 MiB.' },
    ]);
    expect(readApiErrors('Total Upload: 389.02 KiB\nfetch failed')).toEqual([]);
  });

  // The codes are those of Cloudflare's pages "Workers · Error codes" and "R2 · Error codes".
  it.each<[number, RegExp, RegExp]>([
    [10_000, /refuses the login/, /template "Edit Cloudflare Workers"/],
    [9109, /refuses the login/, /Workers R2 Storage: Edit/],
    [10_042, /R2 is not switched on/, /dashboard/],
    [10_084, /R2 is not switched on/, /dashboard/],
    [10_027, /larger than the plan/, /minify = true/],
    [10_054, /larger than 5 KB/, /TOKENS_A/],
    [10_063, /no workers\.dev subdomain/, /custom domain/],
    [10_085, /bucket of the binding BUCKET does not exist/, /wrangler r2 bucket create/],
    [100_112, /in no zone of this account/, /Add the domain/],
    [100_117, /has a DNS record already/, /Delete the record/],
    [100_328, /needs the Workers Paid plan/, /Remove \[limits\]/],
  ])('%i: says what it means and what to do', (code, what, todo) => {
    const help = helpFor([
      { code: 1, message: 'not known here' },
      { code, message: 'what Cloudflare says' },
    ]);
    expect(help?.what).toMatch(what);
    expect(help?.todo).toMatch(todo);
  });

  it('have no invented advice where the code is not known', () => {
    expect(helpFor([{ code: 10_013, message: 'internal error' }])).toBeNull();
  });
});
