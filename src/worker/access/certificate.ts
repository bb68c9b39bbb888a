import { ConfigError, fields, optionalText } from '../config-reading.ts';
import { matchesWildcards } from '../../registry/values/name-pattern.ts';

/** A rule for client certificates; a certificate must match all given members. */
export interface CertificateRule {
  /** SHA-256 of the certificate in lower-case hex. */
  readonly fingerprint?: string;
  readonly subject?: readonly NamePart[];
  readonly issuer?: readonly NamePart[];
}

/** One attribute of a distinguished name; in a pattern's value `*` matches any characters. */
export interface NamePart {
  /** In upper case, e.g. `CN`. */
  readonly type: string;
  readonly value: string;
}

/** The members of `request.cf.tlsClientAuth` that are used: what the edge reports of the client's certificate. */
export interface ClientCertificate {
  readonly certPresented: string;
  readonly certVerified: string;
  readonly certRevoked: string;
  readonly certFingerprintSHA256: string;
  readonly certSubjectDNRFC2253: string;
  readonly certIssuerDNRFC2253: string;
}

/**
 * Reads `{fingerprint?, subject?, issuer?}`. Throws {@link ConfigError}; an empty rule would match every
 * certificate.
 */
export function parseCertificateRule(value: unknown, where: string): CertificateRule {
  const row = fields(value, where, ['fingerprint', 'subject', 'issuer']);
  const given = optionalText(row.fingerprint, `${where}.fingerprint`)?.replaceAll(':', '').toLowerCase();
  if (given !== undefined && !/^[0-9a-f]{64}$/.test(given))
    throw new ConfigError(`${where}.fingerprint must be a SHA-256: 64 hex digits.`);
  const subject = namePattern(row.subject, `${where}.subject`);
  const issuer = namePattern(row.issuer, `${where}.issuer`);
  if (given === undefined && subject === undefined && issuer === undefined)
    throw new ConfigError(`${where} must have a fingerprint, a subject or an issuer.`);
  return { ...(given !== undefined && { fingerprint: given }), ...(subject && { subject }), ...(issuer && { issuer }) };
}

/** Whether the edge trusts the certificate: it chains to a CA that the zone trusts, and is not revoked. */
export function isTrusted(certificate: ClientCertificate): boolean {
  return certificate.certPresented === '1' && certificate.certVerified === 'SUCCESS' && certificate.certRevoked !== '1';
}

/** Whether a trusted certificate matches the rule. */
export function fits(rule: CertificateRule, certificate: ClientCertificate): boolean {
  if (!isTrusted(certificate)) return false;
  if (rule.fingerprint !== undefined && rule.fingerprint !== certificate.certFingerprintSHA256.toLowerCase())
    return false;
  if (rule.subject !== undefined && !hasAll(rule.subject, certificate.certSubjectDNRFC2253)) return false;
  return rule.issuer === undefined || hasAll(rule.issuer, certificate.certIssuerDNRFC2253);
}

/**
 * Parses a distinguished name (RFC 2253, section 2): attributes are separated by `,`, or by `+` within one component,
 * and `\` escapes a separator in a value. null if a component has no `=`. It is parsed, not matched as text, so that a
 * comma in a value cannot pass for an attribute.
 */
export function parseDistinguishedName(name: string): readonly NamePart[] | null {
  const parts: NamePart[] = [];
  for (const component of name.match(/(?:\\[\s\S]|[^,+\\])+/g) ?? []) {
    const equals = component.indexOf('=');
    if (equals <= 0) return null;
    parts.push({
      type: component.slice(0, equals).trim().toUpperCase(),
      value: unescape(component.slice(equals + 1).trim()),
    });
  }
  return parts;
}

function namePattern(value: unknown, where: string): readonly NamePart[] | undefined {
  const pattern = optionalText(value, where);
  if (pattern === undefined) return undefined;
  const parts = parseDistinguishedName(pattern);
  if (parts === null || parts.length === 0)
    throw new ConfigError(
      `${where} must be attributes of a distinguished name, such as "OU=team-a,O=Example" ("*" for any characters).`,
    );
  if (parts.every((part) => /^\**$/.test(part.value)))
    throw new ConfigError(`${where} matches every certificate. Give at least one attribute a value.`);
  return parts;
}

function hasAll(pattern: readonly NamePart[], name: string): boolean {
  const parts = parseDistinguishedName(name);
  return (
    parts !== null &&
    pattern.every((wanted) =>
      parts.some((part) => part.type === wanted.type && matchesWildcards(wanted.value, part.value)),
    )
  );
}

function unescape(value: string): string {
  const bytes: number[] = [];
  const encoder = new TextEncoder();
  for (const [piece] of value.matchAll(/\\[0-9a-fA-F]{2}|\\[\s\S]|[^\\]+/g)) {
    if (/^\\[0-9a-fA-F]{2}$/.test(piece)) bytes.push(parseInt(piece.slice(1), 16));
    else bytes.push(...encoder.encode(piece.startsWith('\\') ? piece.slice(1) : piece));
  }
  return new TextDecoder().decode(new Uint8Array(bytes));
}
