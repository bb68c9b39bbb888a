/** The options of `npm run conformance`. */
import { parseArgs } from 'node:util';
import { type SuiteId, SUITES } from './suites.ts';

/** What a run consists of. */
export type Part = 'suites' | 'comparison';

/** Parsed options. */
export interface Options {
  readonly quick: boolean;
  readonly docs: boolean;
  readonly json: string | undefined;
  /** Whether the result is written to docs/results. */
  readonly proof: boolean;
  /** Without a slash at the end; null: the registries that the run starts itself. */
  readonly target: string | null;
  readonly push: boolean;
  readonly repository: string;
  readonly login: { readonly username: string; readonly password: string } | null;
  readonly suites: readonly SuiteId[];
  readonly parts: ReadonlySet<Part>;
  readonly sources: ReadonlyMap<SuiteId, string>;
}

const PARTS: readonly Part[] = ['suites', 'comparison'];
const SUITE_IDS = Object.keys(SUITES) as SuiteId[];

/** Parses the arguments; null, with the reason on stderr, if they are wrong. */
export function readOptions(args: readonly string[], env: NodeJS.ProcessEnv = process.env): Options | null {
  try {
    return parseOptions(args, env);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    return null;
  }
}

function parseOptions(args: readonly string[], env: NodeJS.ProcessEnv): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      docs: { type: 'boolean', default: false },
      json: { type: 'string' },
      proof: { type: 'boolean', default: false },
      target: { type: 'string' },
      push: { type: 'boolean', default: false },
      repository: { type: 'string', default: 'conformance' },
      suite: { type: 'string', multiple: true, default: SUITE_IDS },
      part: { type: 'string', multiple: true, default: [...PARTS] },
      source: { type: 'string', multiple: true, default: [] },
    },
  });
  const { quick, docs, json, proof, target, push, repository } = values;
  if (proof && target !== undefined) throw new Error('--proof is about Gantry. Leave out --target.');
  const parts = new Set(values.part.map((part) => oneOf('--part', PARTS, part)));
  const suites = values.suite.map((suite) => oneOf('--suite', SUITE_IDS, suite));
  if (push && target === undefined) throw new Error('--push says what to do with --target URL. Give one.');
  // A page of a part would say that the rest does not exist.
  if (docs && (quick || target !== undefined || parts.size < PARTS.length || suites.length < SUITE_IDS.length))
    throw new Error('--docs writes the page of a whole run. Leave out --quick, --target, --suite and --part.');
  const sources = values.source.map((source) => {
    const [id = '', folder = ''] = source.split(/=(.*)/s);
    if (folder === '') throw new Error(`--source ${source} has no folder. Write --source ID=FOLDER.`);
    return [oneOf('--source', SUITE_IDS, id), folder] as const;
  });
  const { OCI_USERNAME: username = '', OCI_PASSWORD: password = '' } = env;
  return {
    quick,
    docs,
    json,
    proof,
    target: target === undefined ? null : originOf(target),
    push,
    repository,
    login: username === '' ? null : { username, password },
    suites,
    parts,
    sources: new Map(sources),
  };
}

function originOf(target: string): string {
  if (!URL.canParse(target) || !/^https?:$/.test(new URL(target).protocol))
    throw new Error(`--target ${target} is not a URL. Write http://HOST:PORT or https://HOST.`);
  return new URL(target).origin;
}

function oneOf<T extends string>(option: string, words: readonly T[], text: string): T {
  const word = words.find((one) => one === text);
  if (word === undefined) throw new Error(`${option} ${text} is not known. Choose from ${words.join(', ')}.`);
  return word;
}
