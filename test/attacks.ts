/**
 * Attacks and their outcomes. Each is run by a test of that title; `npm run docs` prints the table into
 * docs/explanation/security.md.
 */

/** One attack. */
interface Attack {
  readonly attack: string;
  readonly outcome: string;
  /** The file of the test that runs it. */
  readonly test: string;
}

const REVOCATION = 'test/worker/access/revocation.test.ts';
const DISCLOSURE = 'test/worker/access/disclosure.test.ts';
const LOST_REALMS = 'test/worker/access/lost-realms.test.ts';
const POLICY = 'test/worker/access/policy.test.ts';
const ORIGIN = 'test/origin/client.test.ts';
const ORIGIN_POLICY = 'test/origin/policy.test.ts';
const FILLING = 'test/worker/ingest/fill-limits.test.ts';
const HOSTILE = 'test/publisher/sources/hostile.test.ts';
const ORIGIN_RULES = 'test/worker/ingest/origins.test.ts';

export const ATTACKS = {
  'token-renews-itself': {
    attack: 'A Bearer token of a removed robot token is renewed at `/token` again and again',
    outcome: '`/token` answers 401; nothing opens after five minutes',
    test: REVOCATION,
  },
  'issuer-token-prolonged': {
    attack: 'A token of another issuer is exchanged for one of ours shortly before its end',
    outcome: 'ours ends when theirs does',
    test: REVOCATION,
  },
  'expired-token-exchanged': {
    attack: 'An expired token is exchanged within the clock leeway',
    outcome: '401',
    test: REVOCATION,
  },
  'audience-by-host': {
    attack: 'The `Host` header chooses the audience of tokens',
    outcome: 'the configuration stops without `PUBLIC_URL` or `ACCESS.service`',
    test: REVOCATION,
  },
  'token-forged': {
    attack:
      'A token with `alg: none`, HS256 over a public key, foreign keys, another audience or issuer, changed claims',
    outcome: '401',
    test: 'test/worker/access/jwt.test.ts',
  },
  'hidden-repository-detected': {
    attack: 'Headers of a hidden repository are compared with those of one that does not exist',
    outcome: 'they are equal; there is no `Server-Timing`',
    test: DISCLOSURE,
  },
  'challenge-injected': {
    attack: 'Quotes in `Host` begin a parameter of the challenge',
    outcome: 'they are escaped',
    test: DISCLOSURE,
  },
  'host-invalid': {
    attack: 'Two `Host` headers, or one that is no host',
    outcome: '400',
    test: DISCLOSURE,
  },
  'type-guessed': {
    attack: 'A browser takes a blob or an error body for a page',
    outcome: 'every response has `nosniff`',
    test: DISCLOSURE,
  },
  'help-cached': {
    attack: 'A shared cache stores the help page of a request with credentials',
    outcome: 'it is `private`',
    test: DISCLOSURE,
  },
  'realms-lost': {
    attack: 'A deployment loses `REALMS`',
    outcome: 'marked objects are 404, and the log has `realm-mismatch`',
    test: LOST_REALMS,
  },
  'realms-lost-upstream': {
    attack: 'A deployment loses `REALMS`, and an upstream would fill the repository again',
    outcome: '404',
    test: LOST_REALMS,
  },
  'realms-lost-empty': {
    attack: 'A deployment loses all of `REALMS`, and the record of the bucket (`gantry.json`) names protected realms',
    outcome: 'the Worker logs `realms-lost`; marked objects are hidden all the same',
    test: LOST_REALMS,
  },
  'realms-lost-commands': {
    attack: 'The same is served, or written to, by a command',
    outcome: '`gantry serve`, `publish`, `rm` and others stop, and the preflight of `gantry deploy` fails',
    test: 'test/publisher/local/lost-realms.test.ts',
  },
  'realms-lost-catalogue': {
    attack: 'A deployment loses `REALMS`, and the catalogue, search or home page is read',
    outcome: 'no protected name is listed',
    test: LOST_REALMS,
  },
  'token-realm-unknown': {
    attack: 'A rule is lost that a robot token names',
    outcome: 'the configuration stops',
    test: POLICY,
  },
  'rule-shadowed': {
    attack: 'A public rule stands before a protected one and matches all of it',
    outcome: 'the configuration stops',
    test: 'test/registry/realms.test.ts',
  },
  'upstream-steals-credentials': {
    attack: 'An upstream names a token service on another host',
    outcome: 'it receives no credentials; the request fails',
    test: ORIGIN,
  },
  'credentials-in-clear': {
    attack: 'Credentials go to a token service elsewhere, or in plain http',
    outcome: 'refused, except to the own host, well-known pairs, and named services',
    test: ORIGIN_POLICY,
  },
  'upstream-reaches-inside': {
    attack: 'A public upstream redirects to a private, link-local or loopback address',
    outcome: 'the redirect is not followed',
    test: ORIGIN_POLICY,
  },
  'name-resolves-inside': {
    attack: 'A public name that resolves to an address of this machine is fetched by `gantry serve`',
    outcome: 'no connection, unless an upstream is itself inside',
    test: 'test/publisher/local/network.test.ts',
  },
  'redirect-elsewhere': {
    attack: 'An upstream redirects to a host that its rule does not list',
    outcome: 'the redirect is not followed',
    test: ORIGIN_RULES,
  },
  'history-endless': {
    attack: 'A config with 60,000 history entries, of which a schema 1 of 24.7 MB was derived in 8 s',
    outcome: 'none is derived from more than 1,000 entries, and no derived manifest has more than 4 MiB',
    test: 'test/manifest/derive.test.ts',
  },
  'layer-bomb': {
    attack: 'A layer unpacks to 1,000 times its size where the Worker unpacks it',
    outcome: 'it is given up after 64 MiB; the tag is served as schema 1',
    test: 'test/worker/ingest/unpack-layer.test.ts',
  },
  'layer-bomb-published': {
    attack: 'A layer unpacks to 1,000 times its size where `gantry publish` unpacks it',
    outcome: 'it is given up after 64 MiB; the image is published without the derived form',
    test: 'test/publisher/layers/layers.test.ts',
  },
  'lists-in-lists': {
    attack: 'A list of 24 lists of 24 images, for which one request made 1,179 requests to the upstream',
    outcome: 'at most 24 children are fetched in all, and at most 160 requests are made',
    test: FILLING,
  },
  'upstream-endless': {
    attack: 'An upstream makes each request of a fill cost redirects, tokens and bytes',
    outcome: 'requests and bytes have a budget; beyond it 502, and no further request for five minutes',
    test: FILLING,
  },
  'manifest-huge': {
    attack: 'A manifest or config of the upstream is larger than 4 MiB, a list larger than 8 MiB',
    outcome: 'reading stops there: 502',
    test: FILLING,
  },
  'blob-huge': {
    attack: 'A client requests a blob that is larger than the rule allows (`largest`), with or without a length',
    outcome: '502, and nothing is stored',
    test: FILLING,
  },
  'blob-claimed': {
    attack: 'The upstream claims by HEAD a blob that it does not have',
    outcome: 'no cache keeps the answer',
    test: FILLING,
  },
  'bucket-filled': {
    attack: 'Clients fill the bucket with images that nobody pulls again',
    outcome: '`gantry gc` removes fetched tags that were not pulled for the days of the rule (`expire`)',
    test: 'test/publisher/gc-expire.test.ts',
  },
  'slow-clients': {
    attack: 'Twenty slow old clients request a large manifest, for which workerd took 3.7 GB',
    outcome: 'it is streamed: workerd takes less than 128 MiB more',
    test: 'test/publisher/local/slow-clients.test.ts',
  },
  'list-page-endless': {
    attack: 'A client requests a page of a list with a huge `n`, or everything after a name',
    outcome: 'a page has at most 10,000 entries, and a `Link` to the next one',
    test: 'test/worker/storage.test.ts',
  },
  'ranges-many': {
    attack: 'A client requests a blob in more than 1,024 ranges, or in ranges that overlap',
    outcome: 'the header is ignored: the blob is streamed once',
    test: 'test/worker/http.test.ts',
  },
  'ranges-far-apart': {
    attack: 'A client requests 1,000 bytes that are spread over a large blob, so that the Worker reads all of it',
    outcome: 'above 64 MiB between the ranges the header is ignored',
    test: 'test/worker/http.test.ts',
  },
  'tar-size': {
    attack: 'A tar member has a size that is negative, huge or no number',
    outcome: '`gantry publish` refuses the archive at that byte',
    test: HOSTILE,
  },
  'tar-headers': {
    attack: 'A tar archive has extended headers without end',
    outcome: 'at most 16 for a member, 1 MiB each, and 64 MiB of names in all are read',
    test: HOSTILE,
  },
  'not-a-file': {
    attack: 'A source has a device, a named pipe, a socket or a folder in the place of a file',
    outcome: 'only regular files are read',
    test: HOSTILE,
  },
  'archive-bomb': {
    attack: 'A compressed archive unpacks without end',
    outcome: 'it is refused at 64 GiB or the given limit, at 200 times its size, and before the disk is full',
    test: HOSTILE,
  },
  'documents-endless': {
    attack: 'Documents of a source name themselves, nest without end, or name a million layers',
    outcome: 'each is read once, and refused beyond 1,000 levels or layers',
    test: HOSTILE,
  },
  'publisher-unstoppable': {
    attack: 'A source never answers, and the command is ended',
    outcome: 'SIGTERM ends it within two seconds',
    test: 'test/publisher/interrupt.test.ts',
  },
  'terminal-commanded': {
    attack: 'An image has escape sequences as its `os`, `architecture` and `variant`',
    outcome: 'no command prints a control character',
    test: 'test/publisher/commands/terminal.test.ts',
  },
  'password-listed': {
    attack: 'Another user of the machine reads a password in the list of processes',
    outcome: '`--creds-stdin` and `--password-stdin` take it from standard input, and the help of `--creds` warns',
    test: 'test/publisher/commands/stdin-credentials.test.ts',
  },
  'signature-missing': {
    attack: 'An image without the signature that the policy requires is published',
    outcome: '`gantry publish` and `sync` write nothing of it',
    test: 'test/publisher/signatures/verify.test.ts',
  },
  'surface-fuzzed': {
    attack: 'Inputs that nobody would write come over HTTP, or as tar, JSON and OCI layouts',
    outcome: 'none takes over two seconds or 512 MiB, or ends in a stack trace',
    test: 'test/fuzz/surfaces.test.ts',
  },
  'fills-by-one-client': {
    attack: 'A client requests one image after another that is not stored',
    outcome: '429 with `Retry-After` after 600 fills in a minute; what is stored is not limited',
    test: 'test/worker/fill-rate.test.ts',
  },
  'fills-at-once': {
    attack: 'Clients request many images at once that are not stored',
    outcome: 'six fills run at once in an isolate, others wait, and then get 429 with `Retry-After`',
    test: FILLING,
  },
} as const satisfies Readonly<Record<string, Attack>>;

/** The title of the test that runs an attack. */
export function titleOf(attack: keyof typeof ATTACKS): string {
  return `${ATTACKS[attack].attack}: ${ATTACKS[attack].outcome}`;
}
