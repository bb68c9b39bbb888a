/** The members of an image config, for a look at one of them; none where it cannot be read: whoever needs the config says what is wrong with it. */
export function membersOfConfig(config: Uint8Array | undefined): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = config === undefined ? null : JSON.parse(new TextDecoder().decode(config));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
