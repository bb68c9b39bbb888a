import { ConfigError, fields, jsonOf, oneOf, optionalText, text, webAddressOf, numberOf } from '../config-reading.ts';
/** How blobs reach the client: streamed through the Worker, or by a redirect. */

/** The algorithms of crane's `_auth_` token. */
export type AuthAlgorithm = 'SHA-256' | 'SHA-1' | 'MD5';

/**
 * How a redirect to another host is signed: a token in the query that the host verifies (Akamai's Auth Token 2.0, as in
 * crane).
 */
export interface UrlSigning {
  readonly secret: Uint8Array;
  readonly parameter: string;
  /** Seconds that the redirect is valid. */
  readonly ttl: number;
  readonly algorithm: AuthAlgorithm;
}

/** Where a client reads a blob. */
export type BlobDelivery =
  | { readonly mode: 'stream' }
  /** From the bucket's S3 endpoint, by a signed URL. */
  | {
      readonly mode: 'presigned';
      readonly endpoint: string;
      readonly bucket: string;
      readonly ttl: number;
      readonly accessKeyId: string;
      readonly secretAccessKey: string;
    }
  /** From a host that serves the bucket by its keys. */
  | {
      readonly mode: 'redirect';
      /** URL that a blob's key is appended to; ends with `/`. */
      readonly base: string;
      /** The replacement in the URL: crane's `url_match` and `url_replace`. */
      readonly rewrite: { readonly match: string; readonly replace: string } | null;
      readonly signing: UrlSigning | null;
    };

/** The secrets that delivery may need. */
export interface DeliverySecrets {
  readonly accessKeyId: string | undefined;
  readonly secretAccessKey: string | undefined;
  /** Key of the `_auth_` token, in hex. */
  readonly authSecret: string | undefined;
}

/** Seconds that a redirect is valid; the default is that of crane. */
const TTL = { otherwise: 300, least: 1, most: 604_800, unit: 'seconds', whole: true } as const;

const ALGORITHMS = { sha256: 'SHA-256', sha1: 'SHA-1', md5: 'MD5' } as const satisfies Record<string, AuthAlgorithm>;

/**
 * Parses `BLOB_DELIVERY`: undefined, `"stream"`, or an object (or its JSON) with a `mode`. Throws {@link
 * ConfigError}.
 */
export function parseBlobDelivery(value: unknown, secrets: DeliverySecrets): BlobDelivery {
  if (value === undefined || value === '' || value === 'stream') return { mode: 'stream' };
  const where = 'BLOB_DELIVERY';
  const given = fields(jsonOf(value, where), where);
  switch (given.mode) {
    case 'stream':
      fields(given, where, ['mode']);
      return { mode: 'stream' };
    case 'presigned': {
      const { endpoint, bucket, ttl } = fields(given, where, ['mode', 'endpoint', 'bucket', 'ttl']);
      const { accessKeyId, secretAccessKey } = secrets;
      if (accessKeyId === undefined || secretAccessKey === undefined) {
        throw new ConfigError(
          'BLOB_DELIVERY presigned needs the secrets R2_ACCESS_KEY_ID and R2_SECRET_ACCESS_KEY (an R2 API token that may read the bucket).',
        );
      }
      return {
        mode: 'presigned',
        endpoint: address(endpoint, `${where}.endpoint`),
        bucket: text(bucket, `${where}.bucket`),
        ttl: numberOf(ttl, `${where}.ttl`, TTL),
        accessKeyId,
        secretAccessKey,
      };
    }
    case 'redirect': {
      const { base, rewrite, auth } = fields(given, where, ['mode', 'base', 'rewrite', 'auth']);
      const pair = rewrite === undefined ? null : fields(rewrite, `${where}.rewrite`, ['match', 'replace']);
      return {
        mode: 'redirect',
        base: address(base, `${where}.base`),
        rewrite:
          pair === null
            ? null
            : {
                match: text(pair.match, `${where}.rewrite.match`),
                replace: text(pair.replace, `${where}.rewrite.replace`),
              },
        signing: auth === undefined ? null : signing(auth, `${where}.auth`, secrets.authSecret),
      };
    }
    default:
      throw new ConfigError('BLOB_DELIVERY.mode must be "stream", "presigned" or "redirect".');
  }
}

function signing(value: unknown, where: string, secret: string | undefined): UrlSigning {
  const { parameter, ttl, algorithm } = fields(value, where, ['parameter', 'ttl', 'algorithm']);
  if (secret === undefined || !/^(?:[0-9a-f]{2})+$/i.test(secret)) {
    throw new ConfigError('BLOB_DELIVERY.auth needs the secret BLOB_AUTH_SECRET: the key in hexadecimal digits.');
  }
  const name = oneOf(algorithm, `${where}.algorithm`, ['sha256', 'sha1', 'md5']);
  const parameterName = optionalText(parameter, `${where}.parameter`) ?? '_auth_';
  if (!/^[\w.-]+$/.test(parameterName))
    throw new ConfigError(`${where}.parameter must be letters, digits, "_", "-" and ".".`);
  return {
    secret: Uint8Array.from(secret.match(/../g) ?? [], (pair) => parseInt(pair, 16)),
    parameter: parameterName,
    ttl: numberOf(ttl, `${where}.ttl`, TTL),
    algorithm: ALGORITHMS[name],
  };
}

function address(value: unknown, where: string): string {
  const url = webAddressOf(text(value, where));
  if (url === null) throw new ConfigError(`${where} must be an address such as "https://blobs.example.com".`);
  return url.href.endsWith('/') ? url.href : `${url.href}/`;
}
