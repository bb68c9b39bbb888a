/** The entity tag of bytes: their sha256, quoted. */
export async function entityTagOf(bytes: Uint8Array): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return `"sha256:${Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('')}"`;
}
