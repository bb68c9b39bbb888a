import { describe, expect, it } from 'vitest';
import {
  type ClientCertificate,
  fits,
  parseCertificateRule,
  parseDistinguishedName,
} from '../../../src/worker/access/certificate.ts';

const FINGERPRINT = 'ab'.repeat(32);
const certificate = (more: Partial<ClientCertificate> = {}): ClientCertificate => ({
  certPresented: '1',
  certVerified: 'SUCCESS',
  certRevoked: '0',
  certFingerprintSHA256: FINGERPRINT,
  certSubjectDNRFC2253: 'CN=host-1.example.com,OU=team-a,O=Example\\, Inc.,C=US',
  certIssuerDNRFC2253: 'CN=Example CA,O=Example\\, Inc.',
  ...more,
});

describe('a certificate rule', () => {
  it.each([
    ['its fingerprint', { fingerprint: FINGERPRINT }, true],
    ['its fingerprint as openssl prints it', { fingerprint: 'AB:'.repeat(32).slice(0, -1) }, true],
    ['another fingerprint', { fingerprint: 'cd'.repeat(32) }, false],
    ['an attribute of the subject', { subject: 'OU=team-a' }, true],
    ['the type in lower case', { subject: 'ou=team-a' }, true],
    ['several, in any order', { subject: 'O=Example\\, Inc.,OU=team-a' }, true],
    ['one that is not there', { subject: 'OU=team-a,L=Berlin' }, false],
    ['a pattern', { subject: 'CN=*.example.com' }, true],
    ['a pattern with a star inside', { subject: 'CN=host-*.example.*' }, true],
    ['a pattern that overlaps itself', { subject: 'CN=host-1.example.com*host-1.example.com' }, false],
    ['a pattern of another type', { subject: 'OU=*.example.com' }, false],
    ['a value that only contains it', { subject: 'OU=team' }, false],
    ['the case of values', { subject: 'OU=TEAM-A' }, false],
    ['the issuer', { issuer: 'CN=Example CA' }, true],
    ['subject and issuer, one of which is wrong', { subject: 'OU=team-a', issuer: 'CN=Other CA' }, false],
  ])('looks at %s', (_, rule, expected) => {
    expect(fits(parseCertificateRule(rule, 'rule'), certificate())).toBe(expected);
  });

  it('is not fooled by a value that reads like more attributes', () => {
    const rule = parseCertificateRule({ subject: 'OU=team-a' }, 'rule');
    for (const certSubjectDNRFC2253 of [
      'CN=evil\\,OU=team-a',
      'CN=evil\\+OU=team-a',
      'O=x\\\\\\,OU=team-a',
      'CN=OU=team-a',
    ]) {
      expect(fits(rule, certificate({ certSubjectDNRFC2253 }))).toBe(false);
    }
    expect(fits(rule, certificate({ certSubjectDNRFC2253: 'CN=x+OU=team-a,O=y' }))).toBe(true);
    expect(fits(rule, certificate({ certSubjectDNRFC2253: 'O=x\\\\,OU=team-a' }))).toBe(true);
  });

  it.each([
    ['not presented', { certPresented: '0', certVerified: 'NONE' }],
    ['not verified', { certVerified: 'FAILED:self signed certificate' }],
    ['revoked', { certRevoked: '1' }],
  ])('means no certificate that is %s', (_, more) => {
    expect(fits(parseCertificateRule({ fingerprint: FINGERPRINT }, 'rule'), certificate(more))).toBe(false);
  });

  it.each([
    [{}],
    [{ fingerprint: 'abc' }],
    [{ subject: '*' }],
    [{ subject: 'CN=*' }],
    [{ subject: '' }],
    [{ serial: '1' }],
    ['CN=x'],
    [null],
  ])('is refused where it would mean everybody or nobody: %j', (rule) => {
    expect(() => parseCertificateRule(rule, 'here')).toThrow(/^here/);
  });
});

describe('a distinguished name', () => {
  it('is read as RFC 2253 writes it', () => {
    expect(parseDistinguishedName('CN=Steve Kille,O=Isode Limited,C=GB')).toHaveLength(3);
    expect(parseDistinguishedName('OU=Sales+CN=J. Smith,O=Widget Inc.,C=US')).toHaveLength(4);
    expect(parseDistinguishedName('SN=Lu\\C4\\8Di\\C4\\87')).toEqual([{ type: 'SN', value: 'Lučić' }]);
    expect(parseDistinguishedName('O="Sue')).toEqual([{ type: 'O', value: '"Sue' }]);
    expect(parseDistinguishedName('nonsense')).toBeNull();
  });
});
