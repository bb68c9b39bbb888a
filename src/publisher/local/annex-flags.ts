/** The annex's compatibility flags: those of the Worker, but it does not refuse Node's modules, since it hashes with `node:crypto` where that is to be had. */
export function annexFlagsOf(flags: readonly string[]): string[] {
  return flags.filter((flag) => !/^no_nodejs_compat(?:_v2)?$/.test(flag));
}
