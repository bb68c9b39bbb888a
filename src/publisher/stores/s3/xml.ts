/**
 * Reads and writes the XML of S3: elements and text. Own code, because a library for all of XML takes longer to load
 * than a request takes, and none of what it adds (attributes, namespaces, document types) has a meaning here.
 */

/** An element. */
export interface XmlElement {
  /** Without a prefix. */
  readonly name: string;
  readonly children: readonly XmlElement[];
  /** Of an element without children. */
  readonly text: string;
}

/** A tag, a comment or declaration, or a section of plain text. */
const MARKUP = /<!--[\s\S]*?-->|<\?[\s\S]*?\?>|<!\[CDATA\[([\s\S]*?)\]\]>|<(\/?)([^\s<>/!?]+)[^<>]*?(\/?)>/g;

const ENTITIES: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

/** Reads a document; null if it is not well-formed, or is no XML. */
export function parseXml(document: string): XmlElement | null {
  const root: { children: XmlElement[] } = { children: [] };
  const open: { name: string; children: XmlElement[]; text: string }[] = [];
  let at = 0;
  for (const match of document.matchAll(MARKUP)) {
    const [whole, cdata, slash, name, selfClosing] = match;
    const top = open.at(-1);
    if (!addText(top, document.slice(at, match.index), true)) return null;
    at = match.index + whole.length;
    if (cdata !== undefined) {
      if (!addText(top, cdata, false)) return null;
    } else if (name !== undefined) {
      const local = name.slice(name.indexOf(':') + 1);
      if (slash === '/') {
        const closed = open.pop();
        if (closed?.name !== local) return null;
        (open.at(-1) ?? root).children.push(closed);
      } else if (selfClosing === '/') (top ?? root).children.push({ name: local, children: [], text: '' });
      else open.push({ name: local, children: [], text: '' });
    }
  }
  if (open.length > 0 || document.slice(at).trim() !== '') return null;
  return root.children.length === 1 ? (root.children[0] ?? null) : null;
}

function addText(element: { text: string } | undefined, raw: string, escaped: boolean): boolean {
  if (element === undefined) return raw.replace(/^\uFEFF/, '').trim() === '';
  // A tag that was not recognized.
  if (escaped && raw.includes('<')) return false;
  element.text += escaped ? unescapeXml(raw) : raw;
  return true;
}

function unescapeXml(text: string): string {
  return text.replace(
    /&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|(\w+));/gi,
    (whole, decimal?: string, hex?: string, name = '') => {
      const code = decimal !== undefined ? Number(decimal) : hex !== undefined ? parseInt(hex, 16) : undefined;
      if (code !== undefined) return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
      return ENTITIES[String(name)] ?? whole;
    },
  );
}

/** The text of a child; undefined if there is none. */
export function textOf(element: XmlElement, name: string): string | undefined {
  return element.children.find((child) => child.name === name)?.text;
}

/** All children of a name. */
export function childrenOf(element: XmlElement, name: string): readonly XmlElement[] {
  return element.children.filter((child) => child.name === name);
}

/** Escapes text for an element. */
export function escapeXml(text: string): string {
  return text.replace(/[<>&\r]/g, (character) => `&#${String(character.charCodeAt(0))};`);
}
