/** The annex's compatibility flags: those of the Worker, except that it has Node's modules, since it hashes with `node:crypto`. */
export function annexFlagsOf(flags: readonly string[]): string[] {
  return flags.filter((flag) => !/^no_nodejs_compat(?:_v2)?$/.test(flag));
}
