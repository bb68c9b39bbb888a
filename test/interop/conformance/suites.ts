/** The official OCI conformance suites: their pinned versions, and building them. */
import { createHash } from 'node:crypto';
import { access, readdir, readFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { run } from '../programs.ts';

/** A key of {@link SUITES}. */
export type SuiteId = 'v1.1.1' | 'HEAD';

/** One edition of the suite. */
export interface Suite {
  readonly id: SuiteId;
  /** Commit of github.com/opencontainers/distribution-spec. */
  readonly commit: string;
  /** Its version as a Go module, which is made of the commit's time and hash. */
  readonly version: string;
  /** The hash of the module's files, as go.sum has it. */
  readonly sum: string;
  /** `ginkgo`: a Go test. `program`: a program of its own, since the redesign of April 2026. */
  readonly kind: 'ginkgo' | 'program';
}

/** A suite that was built. */
export interface BuiltSuite extends Suite {
  readonly program: string;
  /** Where its source comes from: the module proxy, or a folder that was named. */
  readonly from: 'the Go module proxy' | 'a folder';
}

/** The module that both suites are. */
export const SUITE_MODULE = 'github.com/opencontainers/distribution-spec/conformance';

/** Both suites. A newer HEAD is a new version and sum here. */
export const SUITES = {
  'v1.1.1': {
    id: 'v1.1.1',
    commit: 'a139cc423184af6078077b9b7ee336eddbd03f8f',
    version: 'v0.0.0-20250123160558-a139cc423184',
    sum: 'h1:7bNCAFy3pSZzsM+xTEhbhSKzYcVMVf/g8lT71MMlkjU=',
    kind: 'ginkgo',
  },
  HEAD: {
    id: 'HEAD',
    commit: '97274622c111',
    version: 'v0.0.0-20260831232431-97274622c111',
    sum: 'h1:ppZPU0CrEPzyJhVggYwUIZrqh0w2lIT0esw+9ABNPA4=',
    kind: 'program',
  },
} as const satisfies Record<SuiteId, Suite>;

/** A suite cannot be had on this machine; the message says why. */
export class SuiteUnavailable extends Error {
  override readonly name = 'SuiteUnavailable';
}

/**
 * Builds a suite into `folder`. The source is the Go module of the pinned version, or the folder `source` with the same
 * files (`conformance` in a checkout of that commit).
 *
 * @throws {@link SuiteUnavailable} if the module proxy does not have it, or if Go is missing or too old.
 * @throws Error if the files are not those of the pinned version.
 */
export async function buildSuite(suite: Suite, folder: string, source?: string): Promise<BuiltSuite> {
  const [place, sum] = source === undefined ? await download(suite) : await openSource(suite, resolve(source));
  if (sum !== suite.sum) {
    throw new Error(
      `The suite ${suite.id} has the hash ${sum} instead of ${suite.sum}, so it is not commit ${suite.commit}.`,
    );
  }
  const program = join(folder, `conformance-${suite.id}`);
  const build = suite.kind === 'ginkgo' ? ['test', '-c'] : ['build'];
  const { code, stderr } = await go([...build, '-o', program, '.'], place);
  if (code !== 0) throw new SuiteUnavailable(lastLine(stderr));
  return { ...suite, program, from: source === undefined ? 'the Go module proxy' : 'a folder' };
}

async function download({ version }: Suite): Promise<readonly [string, string]> {
  const { code, stdout, stderr } = await go(['mod', 'download', '-json', `${SUITE_MODULE}@${version}`]);
  const { Dir, Sum, Error: reason } = JSON.parse(stdout === '' ? '{}' : stdout) as Readonly<Record<string, string>>;
  if (code === 0 && Dir !== undefined && Sum !== undefined) return [Dir, Sum];
  throw new SuiteUnavailable(lastLine(reason ?? stderr));
}

/** A folder and its hash, as Go computes that of a module: `h1:` and the SHA-256 over the lines of `sha256sum`. */
async function openSource({ version }: Suite, folder: string): Promise<readonly [string, string]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = new Map(
    entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .map((path) => [relative(folder, path), path] as const),
  );
  // Go puts the repository's licence into a module that has none.
  const licence = join(folder, '..', 'LICENSE');
  if (
    !files.has('LICENSE') &&
    (await access(licence).then(
      () => true,
      () => false,
    ))
  )
    files.set('LICENSE', licence);
  const lines = [];
  for (const name of [...files.keys()].sort()) {
    const hash = createHash('sha256')
      .update(await readFile(files.get(name) ?? ''))
      .digest('hex');
    lines.push(`${hash}  ${SUITE_MODULE}@${version}/${name}\n`);
  }
  return [folder, `h1:${createHash('sha256').update(lines.join('')).digest('base64')}`];
}

function go(args: readonly string[], cwd?: string): ReturnType<typeof run> {
  const env = { ...process.env, GO111MODULE: 'on', GOWORK: 'off', GOFLAGS: '-buildvcs=false' };
  return run('go', args, { env, ...(cwd !== undefined && { cwd }) });
}

function lastLine(text: string): string {
  return text.trim().replace(/\s*\n\s*/g, '; ');
}
