/** The headers of an answer before it is one: values by name in lower case. A `Response` takes them all at once, which costs less than to set one after another. */
export type HeaderFields = Record<string, string>;
