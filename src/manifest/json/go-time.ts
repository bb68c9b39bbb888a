/**
 * RFC 3339 times as Go's `time` package parses and formats them: docker/distribution does so with every `created` of a
 * history. `Date` would lose the offset and the nanoseconds.
 */

const PATTERN = /^(\d{4})-(\d\d)-(\d\d)T(\d{1,2}):(\d\d):(\d\d)?([.,]\d+)?(Z|([+-])(\d\d):(\d\d))$/;

/** The form that Go and nearly every tool write. Only the day of the month needs another check. */
const PLAIN = /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{0,8}[1-9])?Z$/;

/** A time as Go formats it, and whether only some parsers accept the original. */
export interface GoTime {
  /** RFC 3339 with the same offset, at most nine fraction digits, no trailing zeros. */
  readonly text: string;
  /** A form that Go 1.17–1.19 accepts beyond RFC 3339: comma, one-digit hour, no seconds, an offset above 23:59. */
  readonly lax: boolean;
}

/** Go's zero time, which it writes for an absent time. */
export const ZERO_TIME = '0001-01-01T00:00:00Z';

/** Parses a time; null if Go 1.19 refuses it. */
export function readGoTime(text: string): GoTime | null {
  if (PLAIN.test(text) && Number(text.slice(8, 10)) <= daysIn(Number(text.slice(0, 4)), Number(text.slice(5, 7))))
    return { text, lax: false };
  const match = PATTERN.exec(text);
  if (match === null) return null;
  const [
    ,
    year = '',
    month = '',
    day = '',
    hour = '',
    minute = '',
    second,
    fraction = '',
    zone,
    sign,
    zoneHour = '0',
    zoneMinute = '0',
  ] = match;
  if (second === undefined && fraction === '') return null;
  if (Number(month) < 1 || Number(month) > 12 || Number(day) < 1 || Number(day) > daysIn(Number(year), Number(month)))
    return null;
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second ?? 0) > 59) return null;
  const digits = fraction.slice(1, 10).replace(/0+$/, '');
  const offset = Number(zoneHour) * 60 + Number(zoneMinute);
  const written =
    zone === 'Z' || offset === 0 ? 'Z' : `${sign ?? '+'}${two(Math.floor(offset / 60))}:${two(offset % 60)}`;
  return {
    text: `${year}-${month}-${day}T${hour.padStart(2, '0')}:${minute}:${second ?? '00'}${digits === '' ? '' : `.${digits}`}${written}`,
    lax:
      second === undefined ||
      hour.length === 1 ||
      fraction.startsWith(',') ||
      Number(zoneHour) > 23 ||
      Number(zoneMinute) > 59,
  };
}

function daysIn(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return [4, 6, 9, 11].includes(month) ? 30 : 31;
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}
