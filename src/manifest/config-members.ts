/** The members of an image config; none if it cannot be parsed. Its other readers report what is wrong with it. */
export function membersOfConfig(config: Uint8Array | undefined): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = config === undefined ? null : JSON.parse(new TextDecoder().decode(config));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
