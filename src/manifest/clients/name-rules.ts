/**
 * Names that Docker engines before 1.10 refuse before they send a request. The OCI distribution specification allows
 * all of them.
 *
 * Sources: moby's `validateRemoteName` (registry/config.go) in 1.6.2, 1.7.1, 1.8.3 and 1.9.1; the patterns for names in
 * the URLs that these engines build (registry/v2 in 1.6, distribution's registry/api/v2/names.go later). Measured with
 * these four engines.
 */
import type { RepositoryName } from '../../registry/name.ts';
import { isBefore, programOf, type Version } from './limits.ts';

interface NameRule {
  /** The first version of Docker that takes such names. */
  readonly until: Version;
  /** The names that are refused, in words. */
  readonly refused: string;
  readonly isRefused: (components: readonly string[]) => boolean;
}

/** The rules. A name is split at its slashes. */
export const NAME_RULES: readonly NameRule[] = [
  {
    until: [1, 8],
    refused: 'names of more than two components',
    isRefused: (components) => components.length > 2,
  },
  {
    until: [1, 8],
    refused: 'names whose first of two components has only one character',
    isRefused: (components) => components.length > 1 && components[0]?.length === 1,
  },
  {
    until: [1, 8],
    refused: 'names whose first of two components has a dot',
    isRefused: (components) => components.length > 1 && components[0]?.includes('.') === true,
  },
  {
    until: [1, 9],
    refused: 'names with two hyphens in a row',
    isRefused: (components) => components.some((component) => component.includes('--')),
  },
  {
    until: [1, 10],
    refused: 'names with two underscores in a row',
    isRefused: (components) => components.some((component) => component.includes('__')),
  },
  {
    until: [1, 10],
    refused: 'names of one component that is 64 hexadecimal digits, like an image ID',
    isRefused: (components) => components.length === 1 && /^[0-9a-f]{64}$/.test(components[0] ?? ''),
  },
];

/** Why an engine refuses a name, as a sentence; null if it does not. */
export function nameRefusal(userAgent: string | null, name: RepositoryName): string | null {
  const engine = programOf(userAgent);
  if (engine?.program !== 'docker') return null;
  const components = name.split('/');
  const rule = NAME_RULES.find(({ until, isRefused }) => isBefore(engine.version, until) && isRefused(components));
  return rule === undefined ? null : `Docker before ${rule.until.join('.')} refuses ${rule.refused}.`;
}
