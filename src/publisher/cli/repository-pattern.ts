import { InvalidArgumentError } from 'commander';
import { isRepositoryPattern } from '../../registry/values/name-pattern.ts';

/** Parses the value of an option that names repositories. */
export function readRepositoryPattern(text: string): string {
  if (!isRepositoryPattern(text)) throw new InvalidArgumentError('Write a repository, PREFIX/* for all below, or *.');
  return text;
}
