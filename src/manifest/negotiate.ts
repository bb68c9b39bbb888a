/**
 * Decides which form of a tag a client gets: a pure function for the Worker and for `gantry explain`.
 *
 * A client without `Accept`, or with only schema 1 types, is a Docker engine from before 1.10 or behaves like one: it
 * gets schema 1 or nothing. The order of types has no meaning: Docker rotates it, and go-containerregistry sends schema
 * 1 first.
 */
import { type Accept, type MediaRange, qualityOf } from '../http/accept.ts';
import type { Reason } from '../registry/errors.ts';
import { type Form, formOfMediaType, FORMS, MEDIA_TYPE_OF_FORM, SCHEMA1_PLAIN } from '../registry/media-type.ts';
import { DEFAULT_PLATFORM, formatPlatform, type Platform } from '../registry/platform.ts';
import type { TagForm, TagRecord } from '../registry/records.ts';
import { limitsOf, representativeOf } from './clients/limits.ts';

/** What is known about a client. */
export interface Client {
  readonly accept: Accept;
  readonly userAgent: string | null;
}

/** The reasons for a choice, in words, for `gantry explain` and pages. */
export const RULES = {
  'no-accept':
    'The client sends no Accept header, so it is treated as a Docker engine before 1.10, which reads only schema 1.',
  'schema1-only': 'The client accepts only schema 1.',
  'any-form': 'The client accepts any form, so it gets the published one.',
  'best-fit':
    'The client gets the form with the highest weight. Among equals, a published form comes first, then index, list, ' +
    'OCI manifest, schema 2, schema 1. OCI forms that were derived from Docker forms come after those.',
  'no-zstd':
    'The client cannot unpack zstd (Docker before 23.0, containerd before 1.5), so it gets no form with zstd layers.',
  'nonstandard-layers':
    'The client refuses the layer types of the published manifest, which are not in the specification, so it gets a ' +
    'clean form of the same image.',
  'no-oci':
    'The client (Docker 19.03.0 to 19.03.4) accepts OCI manifests but cannot read them, so it gets no OCI form.',
} as const;

/** A key of {@link RULES}. */
export type Rule = keyof typeof RULES;

/**
 * A form, or why there is none. `varies.userAgent`: the choice depends on `User-Agent` as well as on `Accept`.
 * `awaitsSchema2`: the client would get a derived schema 2 or OCI manifest, which nobody has tried to derive yet.
 */
export type Choice =
  | {
      readonly kind: 'form';
      readonly form: TagForm;
      readonly rule: Rule;
      readonly varies: { readonly userAgent: boolean };
      readonly awaitsSchema2?: true;
    }
  | {
      readonly kind: 'missing';
      readonly reason: Reason;
      /** The available media types, or the available platforms if only the platform is missing. */
      readonly available: readonly string[];
      readonly rule: Rule;
      readonly varies: { readonly userAgent: boolean };
      readonly awaitsSchema2?: true;
    };

/** Chooses by tag. */
export function negotiate({ accept, userAgent }: Client, record: TagRecord): Choice {
  const wants = accept === null ? null : wantsOf(accept);
  if (wants === null || wants.kind === 'schema1-only')
    return forOldEngine(userAgent, record, wants === null ? 'no-accept' : 'schema1-only');
  const accepted = record.forms.filter(({ form }) => wants.weights[form] > 0);
  const rank = (form: TagForm): readonly number[] => [
    -wants.weights[form.form],
    // Clients that accept newer types often cannot use schema 1.
    wants.kind === 'named' && form.form === 'docker-schema1' ? 1 : 0,
    // A list comes before its images.
    form.platform === undefined ? 0 : 1,
    form.source.kind === 'published' ? 0 : 1,
    // A derived OCI form means that a Docker form was published: it is for clients that accept nothing else.
    form.source.kind === 'derived' && isOciForm(form.form) ? 1 : 0,
    FORMS.indexOf(form.form),
    isFor(form.platform, DEFAULT_PLATFORM) ? 0 : 1,
  ];
  const bestOf = (forms: readonly TagForm[]): TagForm | undefined =>
    forms.toSorted((a, b) => compare(rank(a), rank(b)))[0];
  const { usable, isLimited, why } = usableOf(
    accepted,
    userAgent,
    isEngineAccept(wants) ? bestOf(accepted) : undefined,
  );
  const varies = { userAgent: isLimited };
  const rule = why ?? (wants.kind === 'anything' ? 'any-form' : 'best-fit');
  const best = bestOf(usable);
  const awaits = { ...(awaitsSchema2(wants, best, record) && { awaitsSchema2: true as const }) };
  if (best !== undefined) return { kind: 'form', form: best, rule, varies, ...awaits };
  return {
    kind: 'missing',
    reason: rule === 'no-zstd' ? 'zstd-layers' : reasonFor(rule === 'no-oci' ? withoutOci(wants) : wants, record),
    available: mediaTypesOf(record),
    rule,
    varies,
    ...awaits,
  };
}

/** Whether a client would get a form that must be derived first, instead of the published schema 1. */
function awaitsSchema2({ kind, weights }: Wants, best: TagForm | undefined, { missing }: TagRecord): boolean {
  if (kind !== 'named' || (best !== undefined && best.form !== 'docker-schema1')) return false;
  const wanted = Math.max(weights['docker-schema2'], weights['oci-manifest']);
  return (
    wanted > 0 &&
    wanted >= weights['docker-schema1'] &&
    missing.some(({ reason }) => reason === 'schema2-layers-unread')
  );
}

/**
 * The forms that a client can use among those that it accepts. `best`: the form that a client without limits gets, if
 * `Accept` is that of a Docker engine. `isLimited`: the result depends on `User-Agent`; only then, because caches store
 * an entry for each kind of client. `why`: the rule that excluded forms.
 */
function usableOf(
  accepted: readonly TagForm[],
  userAgent: string | null,
  best: TagForm | undefined,
): { readonly usable: readonly TagForm[]; readonly isLimited: boolean; readonly why: Rule | null } {
  const isMarked = accepted.some(({ zstd, nonstandard }) => zstd === true || nonstandard !== undefined);
  const wouldGetOci = best !== undefined && isOciForm(best.form);
  if (!isMarked && !wouldGetOci) return { usable: accepted, isLimited: false, why: null };
  const limits = limitsOf(userAgent);
  const readable = wouldGetOci && limits.includes('oci') ? accepted.filter(({ form }) => !isOciForm(form)) : accepted;
  const unpacked = limits.includes('zstd') ? readable.filter(({ zstd }) => zstd !== true) : readable;
  const clean = unpacked.filter(({ nonstandard }) => nonstandard?.some((kind) => limits.includes(kind)) !== true);
  // If there is no clean form, the published one is better than a 404.
  const usable = clean.length > 0 ? clean : unpacked;
  const why =
    unpacked.length < readable.length
      ? 'no-zstd'
      : readable.length < accepted.length
        ? 'no-oci'
        : usable.length < unpacked.length
          ? 'nonstandard-layers'
          : null;
  return { usable, isLimited: true, why };
}

/**
 * Whether a client names schema 1, schema 2 and OCI, as Docker engines from 18.06 do. Only such a client may be one
 * that cannot read the OCI forms that it accepts, so only its answers vary by `User-Agent` for that.
 */
function isEngineAccept({ kind, weights }: Wants): boolean {
  return (
    kind === 'named' && weights['docker-schema1'] > 0 && weights['docker-schema2'] > 0 && weights['oci-manifest'] > 0
  );
}

function withoutOci({ kind, weights }: Wants): Wants {
  return { kind, weights: { ...weights, 'oci-index': 0, 'oci-manifest': 0 } };
}

/** The forms that a client accepts: without `Accept`, schema 1 for an engine before 1.10, and every form otherwise. */
export function formsAcceptedBy(client: Client): readonly Form[] {
  return FORMS.filter((form) => canRead(client, form).readable);
}

/**
 * Whether a client can read a manifest that it requests by digest. Only a client that clearly cannot is refused,
 * because no other manifest has the digest.
 */
export function canRead(
  { accept, userAgent }: Client,
  form: Form,
): { readonly readable: boolean; readonly varies: { readonly userAgent: boolean } } {
  if (accept === null) {
    if (form === 'docker-schema1') return { readable: true, varies: { userAgent: false } };
    return { readable: !isOldEngine(userAgent), varies: { userAgent: true } };
  }
  const { weights } = wantsOf(accept);
  // A header without manifest types does not say which of them the client reads.
  return { readable: weights[form] > 0 || !saysAnything(accept), varies: { userAgent: false } };
}

/** Whether a header says which manifests a client reads: by a type, by a wildcard, or by `q=0` for one of them. */
function saysAnything(accept: readonly MediaRange[]): boolean {
  return accept.some(({ type }) => formOfMediaType(type) !== null || type === '*/*' || type === 'application/*');
}

/** The reason for refusing a manifest that {@link canRead} excludes. */
export function unreadableReason({ accept }: Client): Extract<Reason, 'manifest-too-new' | 'form-not-published'> {
  return accept === null || wantsOf(accept).kind === 'schema1-only' ? 'manifest-too-new' : 'form-not-published';
}

/**
 * A canonical `Accept` with the same meaning, of which there are few, so that caches store few entries. Null for none.
 */
export function normalizeAccept(accept: Accept): string | null {
  if (accept === null) return null;
  const { kind, weights } = wantsOf(accept);
  if (kind === 'anything') return '*/*';
  const levels = [...new Set(Object.values(weights))].filter((q) => q > 0).sort((a, b) => b - a);
  const named = FORMS.filter((form) => weights[form] > 0).map((form) => {
    const level = levels.indexOf(weights[form]);
    // At most five levels; only their order counts.
    return level === 0 ? MEDIA_TYPE_OF_FORM[form] : `${MEDIA_TYPE_OF_FORM[form]};q=0.${String(9 - level)}`;
  });
  if (named.length > 0) return named.join(', ');
  return saysAnything(accept) ? '*/*;q=0' : 'application/octet-stream';
}

/**
 * A canonical `User-Agent` with the same meaning for negotiation: whether the engine is older than 1.10, what the
 * client cannot use, and, for schema 1, its platform. Null for none.
 */
export function normalizeUserAgent({ accept, userAgent }: Client): string | null {
  // Only the choice of a schema 1 depends on the platform.
  const platform = accept === null || wantsOf(accept).kind === 'schema1-only' ? platformOf(userAgent) : null;
  const program = isOldEngine(userAgent) ? 'docker/1.9' : representativeOf(userAgent);
  const parts = [
    ...(program === null ? [] : [program]),
    ...(platform === null ? [] : [`os/${platform.os}`, `arch/${platform.architecture}`]),
  ];
  return parts.length === 0 ? null : parts.join(' ');
}

/** Whether a `User-Agent` is of a Docker engine before 1.10: `docker/1.9.1 go/go1.4.3 … os/linux arch/amd64`. */
export function isOldEngine(userAgent: string | null): boolean {
  return userAgent !== null && /^docker\/(?:0\.\d+|1\.\d)(?:\.|-|\s|$)/.test(userAgent);
}

/** The platform in an engine's `User-Agent`; null if there is none. */
export function platformOf(userAgent: string | null): Platform | null {
  const os = / os\/([a-z0-9]{1,16})(?= |$)/.exec(` ${userAgent ?? ''}`)?.[1];
  const architecture = / arch\/([a-z0-9]{1,16})(?= |$)/.exec(` ${userAgent ?? ''}`)?.[1];
  return os === undefined || architecture === undefined ? null : { os, architecture };
}

/** The weight of each form. `anything`: all the same, only by wildcards or `application/json`. */
interface Wants {
  readonly kind: 'schema1-only' | 'anything' | 'named';
  readonly weights: Readonly<Record<Form, number>>;
}

const NONE: Readonly<Record<Form, number>> = {
  'oci-index': 0,
  'docker-list': 0,
  'oci-manifest': 0,
  'docker-schema2': 0,
  'docker-schema1': 0,
};

function wantsOf(accept: readonly MediaRange[]): Wants {
  const names = accept.some(({ type }) => formOfMediaType(type) !== null);
  const weights = { ...NONE };
  for (const form of FORMS) {
    // Schema 1 has two media types; both mean the signed document.
    const types = form === 'docker-schema1' ? [MEDIA_TYPE_OF_FORM[form], SCHEMA1_PLAIN] : [MEDIA_TYPE_OF_FORM[form]];
    const exact = types.filter((type) => accept.some((range) => range.type === type));
    weights[form] = Math.max(...(exact.length > 0 ? exact : types).map((type) => qualityOf(accept, type)));
  }
  const wanted = FORMS.filter((form) => weights[form] > 0);
  if (!names && wanted.length > 0) return { kind: 'anything', weights };
  // Beside manifest types it has no meaning. Tools that only know JSON send it alone.
  if (wanted.length === 0 && !names && accept.some(({ type, q }) => type === 'application/json' && q > 0)) {
    return {
      kind: 'anything',
      weights: { 'oci-index': 1, 'docker-list': 1, 'oci-manifest': 1, 'docker-schema2': 1, 'docker-schema1': 1 },
    };
  }
  return { kind: wanted.length === 1 && wanted[0] === 'docker-schema1' ? 'schema1-only' : 'named', weights };
}

function forOldEngine(userAgent: string | null, record: TagRecord, rule: Rule): Choice {
  const schema1 = record.forms.filter(({ form }) => form === 'docker-schema1');
  const missing = record.missing.filter(({ form }) => form === 'docker-schema1');
  const byPlatform = [...schema1, ...missing].some(({ platform }) => platform !== undefined);
  const varies = { userAgent: byPlatform };
  const told = platformOf(userAgent) ?? DEFAULT_PLATFORM;
  const fitting = schema1.filter(({ platform }) => platform === undefined || isFor(platform, told)).sort(byVariant);
  const form = fitting.find(({ platform }) => platform !== undefined) ?? fitting[0];
  if (form !== undefined) return { kind: 'form', form, rule, varies };
  const why =
    missing.find(({ platform }) => platform !== undefined && isFor(platform, told)) ??
    missing.find(({ platform }) => platform === undefined);
  if (schema1.length > 0 && (why === undefined || why.reason === 'schema1-no-platform')) {
    const platforms = schema1.flatMap(({ platform }) => (platform === undefined ? [] : [formatPlatform(platform)]));
    return { kind: 'missing', reason: 'schema1-no-platform', available: platforms, rule, varies };
  }
  const reason = why?.reason ?? (byPlatform ? 'schema1-no-platform' : 'schema1-not-published');
  return { kind: 'missing', reason, available: mediaTypesOf(record), rule, varies };
}

/** The lowest of several variants first: `arm/v5` runs on every `arm`, and an engine does not name its variant. */
function byVariant(a: TagForm, b: TagForm): number {
  const [left, right] = [a.platform?.variant ?? '', b.platform?.variant ?? ''];
  return left < right ? -1 : left > right ? 1 : 0;
}

function isOciForm(form: Form): boolean {
  return form === 'oci-index' || form === 'oci-manifest';
}

function isFor(platform: Platform | undefined, { os, architecture }: Platform): boolean {
  return platform?.os === os && platform.architecture === architecture;
}

/** The reason of the missing form with the highest weight. */
function reasonFor({ weights }: Wants, { missing }: TagRecord): Reason {
  const lacking = missing.filter(({ form, platform }) => weights[form] > 0 && platform === undefined);
  // An answer of 404 would say that there is no such form; nobody knows that.
  if (lacking.some(({ reason }) => reason === 'form-unknown')) return 'form-unknown';
  const [first] = lacking.sort(
    (a, b) => weights[b.form] - weights[a.form] || FORMS.indexOf(a.form) - FORMS.indexOf(b.form),
  );
  return first?.reason ?? 'form-not-published';
}

function mediaTypesOf({ forms }: TagRecord): string[] {
  return [...new Set(forms.map(({ mediaType }) => mediaType))];
}

function compare(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((value, index) => value !== b[index]);
  return at === -1 ? 0 : (a[at] ?? 0) - (b[at] ?? 0);
}
