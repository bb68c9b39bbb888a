/** Checks what a command prints with `--json` against docs/reference/json-output.schema.json. */
import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect } from 'vitest';

const schema = JSON.parse(
  readFileSync(new URL('../docs/reference/json-output.schema.json', import.meta.url), 'utf8'),
) as {
  readonly $id: string;
  readonly $defs: Readonly<Record<string, object>>;
};
const ajv = new Ajv2020({ allErrors: true, validateFormats: false });
ajv.addSchema(schema);

/** The commands and other texts that the schema describes. */
export const DESCRIBED: readonly string[] = Object.keys(schema.$defs);

/** Expects that a text is as the schema describes it; `of` is a command, or `error`. */
export function expectDescribed(of: string, text: string): void {
  const validate = ajv.getSchema(`${schema.$id}#/$defs/${of}`);
  if (validate === undefined) throw new Error(`the schema does not describe ${of}`);
  const value: unknown = JSON.parse(text);
  if (validate(value) as boolean) return;
  // Of the alternatives, the one that fits best fails deepest.
  const depth = (path: string): number => path.split('/').length;
  const errors = validate.errors ?? [];
  const deepest = Math.max(...errors.map(({ instancePath }) => depth(instancePath)));
  const told = errors.filter(({ instancePath }) => depth(instancePath) === deepest);
  expect.fail(
    `${told.map(({ instancePath, message, params }) => `${instancePath} ${message ?? ''} ${JSON.stringify(params)}`).join('\n')}\nin ${text}`,
  );
}
