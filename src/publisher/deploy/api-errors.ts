/**
 * Errors of Cloudflare's API that a deployment can meet. Sources: Cloudflare's documentation, "Workers · Error codes"
 * and "R2 · Error codes" (November 2026). Both number their errors from 10000, so that a number alone can mean two
 * things.
 */

/** An error in an answer of Cloudflare's API, as Wrangler prints it. */
export interface ApiError {
  readonly code: number;
  readonly message: string;
}

/** What an error means here, and what to do. */
export interface ApiErrorHelp {
  readonly what: string;
  readonly todo: string;
}

const LOGIN: ApiErrorHelp = {
  what: 'Cloudflare refuses the login, or it lacks a permission',
  todo: 'Make an API token from the template "Edit Cloudflare Workers", add "Workers R2 Storage: Edit", and set CLOUDFLARE_API_TOKEN; or run `npx wrangler login` again.',
};
const R2_OFF: ApiErrorHelp = {
  what: 'R2 is not switched on for this account',
  todo: 'Switch it on in the dashboard under "R2 Object Storage"; it asks for a payment method.',
};

/** R2 says 10042, and an upload with a binding of R2 says 10084. */
const R2_OFF_CODES = [10_042, 10_084];

const HELP: ReadonlyMap<number, ApiErrorHelp> = new Map([
  ...[1000, 6003, 6111, 9106, 9109, 10_000].map((code) => [code, LOGIN] as const),
  ...R2_OFF_CODES.map((code) => [code, R2_OFF] as const),
  [
    10_021,
    {
      what: 'Cloudflare could not load the Worker',
      todo: 'The message of Cloudflare says why. Deploy the code as it was delivered, with its compatibility_date and flags.',
    },
  ],
  [
    10_027,
    {
      what: 'the Worker is larger than the plan of the account allows',
      todo: 'Keep `minify = true` in wrangler.toml, or use the Workers Paid plan.',
    },
  ],
  [
    10_034,
    { what: 'the account has no verified email address', todo: 'Verify it in the dashboard, and deploy again.' },
  ],
  [
    10_054,
    {
      what: 'a variable or secret is larger than 5 KB',
      todo: 'Use patterns such as team/* for several repositories; split TOKENS into TOKENS_A, TOKENS_B and so on.',
    },
  ],
  [
    10_063,
    {
      what: 'the account has no workers.dev subdomain, which workers_dev = true needs',
      todo: 'Open "Workers" in the dashboard once: it makes one. Or use routes with a custom domain.',
    },
  ],
  [
    10_085,
    {
      what: 'the R2 bucket of the binding BUCKET does not exist',
      todo: 'Run `npx wrangler r2 bucket create NAME`, or correct bucket_name and jurisdiction in wrangler.toml.',
    },
  ],
  [
    100_112,
    {
      what: 'the custom domain is in no zone of this account',
      todo: 'Add the domain to the account, or correct the pattern under routes in wrangler.toml.',
    },
  ],
  [
    100_116,
    {
      what: 'the custom domain belongs to another Worker',
      todo: 'Remove it there in the dashboard, or choose another name under routes in wrangler.toml.',
    },
  ],
  [
    100_117,
    {
      what: 'the custom domain has a DNS record already',
      todo: 'Delete the record in the dashboard, or choose another name under routes in wrangler.toml.',
    },
  ],
  [
    100_328,
    {
      what: '[limits] in wrangler.toml needs the Workers Paid plan',
      todo: 'Remove [limits], or change to Workers Paid.',
    },
  ],
]);

/** The errors of Cloudflare's API in what Wrangler printed, each once, in order. */
export function readApiErrors(output: string): readonly ApiError[] {
  const plain = output.replace(/\u001b\[[\d;]*m/g, '');
  const found = new Map<number, ApiError>();
  for (const [, message = '', code = ''] of plain.matchAll(/^[ \t]*(.*?)[ \t]*\[code: (\d+)\]/gm)) {
    if (!found.has(Number(code))) found.set(Number(code), { code: Number(code), message });
  }
  return [...found.values()];
}

/** Whether the error says that the account does not have R2. */
export function isR2Off({ code }: ApiError): boolean {
  return R2_OFF_CODES.includes(code);
}

/** What to do about the first error that is known here; null if none is. */
export function helpFor(errors: readonly ApiError[]): ApiErrorHelp | null {
  for (const { code } of errors) {
    const help = HELP.get(code);
    if (help !== undefined) return help;
  }
  return null;
}
