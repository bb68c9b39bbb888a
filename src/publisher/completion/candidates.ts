/** What can stand at the cursor of a command line: computed here for all shells, from the commands themselves. */
import { readdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Argument, Command, Option } from 'commander';
import { SOURCES } from '../sources/open.ts';

/** One word to offer. */
export interface Candidate {
  readonly value: string;
  /** For shells that show it; '' if there is nothing to say. */
  readonly description: string;
}

/** What the candidates need from outside. Each gives nothing where it cannot find out in time. */
export interface CompletionData {
  /** Repositories, or tags of one, of the bucket that the words choose. */
  repositories(options: ChosenBucket): Promise<readonly string[]>;
  tags(options: ChosenBucket, name: string): Promise<readonly string[]>;
  /** Buckets of the S3 account. */
  buckets(options: ChosenBucket): Promise<readonly string[]>;
}

/** The bucket options among the words. */
export interface ChosenBucket {
  readonly to?: string;
  readonly state?: string;
  readonly endpoint?: string;
  readonly region?: string;
  readonly profile?: string;
}

/** The options that choose a bucket, by their names. */
const CHOOSING: ReadonlySet<string> = new Set<keyof ChosenBucket>(['to', 'state', 'endpoint', 'region', 'profile']);

/**
 * The candidates for the last of `words`, which are the arguments of `program` up to the cursor. The last one may be
 * empty, or begun.
 */
export async function candidatesFor(
  program: Command,
  words: readonly string[],
  data: CompletionData,
): Promise<readonly Candidate[]> {
  const current = words.at(-1) ?? '';
  const line = readLine(program, words.slice(0, -1));
  const inline = /^(--[a-z][a-z-]*)=(.*)$/s.exec(current);
  if (line.waiting !== undefined)
    return startingWith(current, await optionValues(line.waiting, current, line.chosen, data));
  if (inline !== null) {
    const [, flag = '', value = ''] = inline;
    const option = line.command.options.find(({ long }) => long === flag);
    if (option === undefined) return [];
    const values = startingWith(value, await optionValues(option, value, line.chosen, data));
    return values.map((one) => ({ ...one, value: `${flag}=${one.value}` }));
  }
  if (current.startsWith('-')) return startingWith(current, optionNames(line.command));
  const verbs = line.operands.length === 0 ? commandNames(line.command) : [];
  const { registeredArguments: known } = line.command;
  const argument = known[line.operands.length] ?? (known.at(-1)?.variadic === true ? known.at(-1) : undefined);
  const values = argument === undefined ? [] : await argumentValues(argument, current, line, data);
  return startingWith(current, [...verbs, ...values]);
}

/** The words before the cursor, understood. */
interface Line {
  readonly command: Command;
  readonly operands: readonly string[];
  readonly chosen: ChosenBucket;
  /** The option whose value stands at the cursor. */
  readonly waiting: Option | undefined;
}

function readLine(program: Command, words: readonly string[]): Line {
  let command = program;
  let waiting: Option | undefined;
  const operands: string[] = [];
  const chosen: Record<string, string> = {};
  const choose = (option: Option, value: string): void => {
    if (CHOOSING.has(option.attributeName())) chosen[option.attributeName()] = value;
  };
  for (const word of words) {
    if (waiting !== undefined) {
      choose(waiting, word);
      waiting = undefined;
    } else if (word.startsWith('-')) {
      const [flag = '', ...value] = word.split('=');
      const option = command.options.find(({ long, short }) => long === flag || short === flag);
      if (option?.required === true && value.length === 0) waiting = option;
      else if (option !== undefined && value.length > 0) choose(option, value.join('='));
    } else {
      const verb = operands.length === 0 ? command.commands.find((one) => one.name() === word) : undefined;
      if (verb === undefined) operands.push(word);
      else command = verb;
    }
  }
  return { command, operands, chosen, waiting };
}

function commandNames(command: Command): readonly Candidate[] {
  // The help lists what is not hidden.
  return command
    .createHelp()
    .visibleCommands(command)
    .filter((one) => one.name() !== 'help')
    .map((one) => ({ value: one.name(), description: one.description() }));
}

function optionNames(command: Command): readonly Candidate[] {
  return command
    .createHelp()
    .visibleOptions(command)
    .flatMap(({ long, description }) => (typeof long === 'string' ? [{ value: long, description }] : []));
}

async function optionValues(
  option: Option,
  current: string,
  chosen: ChosenBucket,
  data: CompletionData,
): Promise<readonly Candidate[]> {
  if (option.argChoices !== undefined) return plain(option.argChoices);
  if (option.long === '--to') {
    const local = { value: 'local', description: 'the local store' };
    if (!current.startsWith('s3:'))
      return [local, { value: 's3://', description: 'a bucket of R2, or other S3 storage' }];
    return (await data.buckets(chosen)).map((name) => ({ value: `s3://${name}`, description: 'bucket' }));
  }
  if (option.long === '--repository') return images('name', current, chosen, data);
  return /file|folder|path/.test(option.flags) ? paths(current) : [];
}

async function argumentValues(
  argument: Argument,
  current: string,
  { operands, chosen, command }: Line,
  data: CompletionData,
): Promise<readonly Candidate[]> {
  if (argument.argChoices !== undefined) return plain(argument.argChoices);
  const name = argument.name();
  if (name === 'source') return sources(current);
  if (name.startsWith('name')) return images(name, current, chosen, data);
  if (command.name() === 'receive' && operands.length === 0) return [];
  return /file|config/.test(name) ? paths(current) : [];
}

/** Sources whose image is in a file or a folder. */
const IN_FILES: ReadonlySet<string> = new Set(['dir:', 'oci:', 'oci-archive:', 'docker-archive:', 'pulp2:']);

/** `dir:`, and behind it the files. */
async function sources(current: string): Promise<readonly Candidate[]> {
  const colon = current.indexOf(':');
  const prefix = current.slice(0, colon + 1);
  if (IN_FILES.has(prefix))
    return (await paths(current.slice(colon + 1))).map((one) => ({ ...one, value: prefix + one.value }));
  return Object.values(SOURCES).map(({ syntax, title }) => ({
    value: /^[a-z0-9+-]+:(?:\/\/)?/.exec(syntax)?.[0] ?? syntax,
    description: title,
  }));
}

/** Repository names; behind a colon the tags, where the argument takes them. */
async function images(
  argument: string,
  current: string,
  chosen: ChosenBucket,
  data: CompletionData,
): Promise<readonly Candidate[]> {
  const colon = current.indexOf(':');
  if (colon >= 0) {
    const name = current.slice(0, colon);
    return (await data.tags(chosen, name)).map((tag) => ({ value: `${name}:${tag}`, description: 'tag' }));
  }
  const end = argument.startsWith('name:') ? ':' : '';
  return (await data.repositories(chosen)).map((name) => ({ value: name + end, description: 'repository' }));
}

/** The most files that are offered. */
const PATHS = 200;

/** Files and folders whose path begins so; folders end in `/`. */
async function paths(begun: string): Promise<readonly Candidate[]> {
  const folder = begun.endsWith('/') ? begun : dirname(begun);
  const before = begun.includes('/') ? (folder.endsWith('/') ? folder : `${folder}/`) : '';
  const entries = await readdir(folder === '' ? '.' : folder, { withFileTypes: true }).catch(() => []);
  return entries
    .map((entry) => ({ value: `${before}${entry.name}${entry.isDirectory() ? '/' : ''}`, description: '' }))
    .filter(
      ({ value }) => value.startsWith(begun) && (begun.slice(before.length) !== '' || !value.startsWith(`${before}.`)),
    )
    .sort((a, b) => (a.value < b.value ? -1 : 1))
    .slice(0, PATHS);
}

function plain(values: readonly string[]): readonly Candidate[] {
  return values.map((value) => ({ value, description: '' }));
}

function startingWith(current: string, all: readonly Candidate[]): readonly Candidate[] {
  return all.filter(({ value }) => value.startsWith(current));
}
