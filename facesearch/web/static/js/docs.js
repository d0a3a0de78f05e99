/** The page of the REST API, drawn from its OpenAPI description. */

import { h, fill } from "./dom.js";

const main = document.getElementById("main");
const server = new URL("../../", document.baseURI).href.replace(/\/$/, "");
const DEEPEST = 5;

begin();

async function begin() {
  try {
    const answer = await fetch(new URL("openapi.json", document.baseURI), { credentials: "same-origin" });
    if (!answer.ok) throw new Error(answer.status === 401 ? "There is no session. Open the address that facesearch serve printed." : `The server answered with ${answer.status}.`);
    draw(await answer.json());
  } catch (error) {
    fill(main, h("p.notice", { role: "alert" }, error.message));
  }
}

function draw(api) {
  const groups = grouped(api);
  const schemas = api.components?.schemas ?? {};
  fill(main, h("div.docs", {}, intro(api),
    h("nav.contents", { "aria-label": "Contents" }, [...groups].map(([tag, operations]) => h("section", {}, h("h2", {}, tag),
      h("ul", {}, operations.map((one) => h("li", {}, h("a", { href: `#${one.id}` }, one.summary ?? one.path))))))),
    h("div", {}, [...groups].map(([tag, operations]) => h("section", { "aria-label": tag }, h("h2.tag-title", {}, tag), operations.map((one) => operation(one, schemas)))))));
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

function intro(api) {
  return h("div.intro", {}, h("h1", {}, "REST API"), h("p", {}, api.info.description ?? ""),
    h("p", {}, "Programs send a token, which the server reads from the file given with ", h("code", {}, "--token-file"), ": NAME RIGHTS TOKEN on each line, mode 0600. RIGHTS are look, name or owner, and each includes those before it. Examples below take the token from the environment:"),
    h("pre", { tabindex: "0", "aria-label": "Example" }, `export FACESEARCH_TOKEN=...\ncurl -H "Authorization: Bearer $FACESEARCH_TOKEN" ${server}/api/v1/status`));
}

/** Return operations by their tag, in the order of the description. */
function grouped(api) {
  const groups = new Map();
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, one] of Object.entries(methods)) {
      const tag = one.tags?.[0] ?? "other";
      if (!groups.has(tag)) groups.set(tag, []);
      groups.get(tag).push({ ...one, path, method, id: `${method}-${path.replace(/\W+/g, "-").replace(/^-|-$/g, "")}` });
    }
  }
  return groups;
}

function operation(one, schemas) {
  const parameters = one.parameters ?? [];
  const bodies = Object.entries(one.requestBody?.content ?? {});
  return h("article.operation", { id: one.id, "aria-labelledby": `${one.id}-title` },
    h("h3", { id: `${one.id}-title` }, h("span", {}, one.summary ?? ""), h("span", {}, h("span.method", { class: one.method }, one.method.toUpperCase()), " ", h("code.path-name", {}, one.path))),
    one.description ? h("p.about", {}, paragraph(one.description)) : null,
    parameters.length ? [h("h4", {}, "Parameters"), h("ul.fields-list", {}, parameters.map((parameter) => h("li", {}, h("code", {}, parameter.name), " ",
      h("span.kind", {}, `${kind(parameter.schema, schemas)}, in the ${parameter.in}`), parameter.required ? h("span.need", {}, " needed") : byDefault(parameter.schema), parameter.description ? h("div", {}, parameter.description) : null)))] : null,
    bodies.length ? [h("h4", {}, "Body"), bodies.map(([type, { schema }]) => described(type, schema, schemas))] : null,
    h("h4", {}, "Answers"), h("div.answers", {}, Object.entries(one.responses).map(([code, answer]) => {
      const [content] = Object.entries(answer.content ?? {});
      const title = `${code === "default" ? "Otherwise" : code}: ${answer.description === "Successful Response" ? "done" : answer.description}`;
      return content && Object.keys(content[1].schema ?? {}).length ? described(`${title} (${content[0]})`, content[1].schema, schemas) : h("div", {}, title);
    })),
    h("details.example", {}, h("summary", {}, "Example"), h("pre", { tabindex: "0", "aria-label": `Example: ${one.summary}` }, example(one, schemas))));
}

/** Return Markdown of a docstring as text: only code is marked. */
function paragraph(text) {
  return text.split("`").map((part, place) => (place % 2 ? h("code", {}, part) : part));
}

function described(title, schema, schemas) {
  const inside = fields(schema, schemas, new Set());
  if (!inside) return h("div", {}, title, " ", h("span.kind", {}, kind(schema, schemas)));
  return h("details.schema", {}, h("summary", {}, title, " ", h("span.kind", {}, kind(schema, schemas))), inside);
}

function resolved(schema, schemas) {
  if (!schema?.$ref) return schema ?? {};
  return schemas[schema.$ref.slice(schema.$ref.lastIndexOf("/") + 1)] ?? {};
}

/** Return what a schema consists of as a list, null for a plain value. */
function fields(schema, schemas, seen, depth = 0) {
  if (!schema || depth > DEEPEST || (schema.$ref && seen.has(schema.$ref))) return null;
  const inner = new Set(seen);
  if (schema.$ref) inner.add(schema.$ref);
  const whole = resolved(schema, schemas);
  if (whole.properties) {
    const needed = new Set(whole.required ?? []);
    return h("ul.fields-list", {}, Object.entries(whole.properties).map(([name, one]) => field(name, one, needed.has(name), schemas, inner, depth)));
  }
  if (whole.items) return fields(whole.items, schemas, inner, depth);
  const choices = (whole.oneOf ?? whole.anyOf ?? []).filter((one) => resolved(one, schemas).properties);
  if (!choices.length) return null;
  if (choices.length === 1) return fields(choices[0], schemas, inner, depth);
  return h("ul.fields-list", {}, choices.map((one) => h("li", {}, h("details.schema", {}, h("summary", {}, resolved(one, schemas).properties?.say?.const ?? kind(one, schemas), " ", h("span.kind", {}, resolved(one, schemas).description ?? "")), fields(one, schemas, inner, depth + 1)))));
}

function field(name, schema, needed, schemas, seen, depth) {
  const inside = fields(schema, schemas, seen, depth + 1);
  const about = [h("code", {}, name), " ", h("span.kind", {}, kind(schema, schemas)), needed ? h("span.need", {}, " needed") : byDefault(schema)];
  const description = schema.description ?? (schema.$ref ? null : undefined);
  return h("li", {}, inside ? h("details.schema", {}, h("summary", {}, about), inside) : about, description ? h("div", {}, description) : null);
}

function byDefault(schema) {
  const value = schema?.default;
  const empty = value === undefined || value === null || value === "" || (Array.isArray(value) && !value.length);
  return empty ? null : h("span.kind", {}, `, ${JSON.stringify(value)} by default`);
}

/** Return the type of a value in words. */
function kind(schema, schemas) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.slice(schema.$ref.lastIndexOf("/") + 1);
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(" or ");
  const choices = schema.oneOf ?? schema.anyOf;
  if (choices) return [...new Set(choices.map((one) => kind(one, schemas)))].join(" or ");
  if (schema.format === "binary") return "file";
  if (schema.type === "array") return `list of ${kind(schema.items, schemas) || "values"}`;
  const type = Array.isArray(schema.type) ? schema.type.join(" or ") : schema.type ?? "any";
  const limits = [schema.minimum ?? schema.minLength, schema.maximum ?? schema.maxLength];
  const unit = schema.type === "string" ? " characters" : "";
  if (limits[1] !== undefined && limits[1] < 1e9) return `${type}, ${limits[0] ?? 0} to ${limits[1].toLocaleString("en")}${unit}`;
  return type;
}

/** Return a command that asks this. */
function example(one, schemas) {
  const query = (one.parameters ?? []).filter((parameter) => parameter.in === "query" && parameter.required).map((parameter) => `${parameter.name}=...`);
  const path = one.path.replace(/\{(\w+)\}/g, (_, name) => (name === "question" ? "people-3-7" : "12"));
  const lines = [`curl -H "Authorization: Bearer $FACESEARCH_TOKEN"`];
  const content = one.requestBody?.content ?? {};
  if (one.method !== "get") lines.push(one.method === "post" && Object.keys(content).length ? "" : `  -X ${one.method.toUpperCase()}`);
  if (content["multipart/form-data"]) {
    lines.push("  -F photo=@me.jpg");
    if (one.path.endsWith("/search")) lines.push(`  -F 'question={"top_k": 20}'`);
    if (one.path.endsWith("/compare")) lines.push("  -F photo=@other.jpg");
  } else if (content["application/json"]) {
    lines.push(`  -H 'Content-Type: application/json'`, `  -d '${JSON.stringify(sample(content["application/json"].schema, schemas))}'`);
  }
  const binary = Object.values(one.responses).some((answer) => Object.keys(answer.content ?? {}).some((type) => /image|octet|zip/.test(type)));
  if (binary) lines.push("  -OJ");
  if (one.path.endsWith("/events")) lines.push("  -N");
  lines.push(`  '${server}${path}${query.length ? `?${query.join("&")}` : ""}'`);
  return lines.filter(Boolean).join(" \\\n");
}

/** Return an example of a body: what is needed, or its first field. */
function sample(schema, schemas) {
  const whole = resolved(schema, schemas);
  if (whole.const !== undefined) return whole.const;
  if (whole.enum) return whole.enum[0];
  if (whole.oneOf || whole.anyOf) return sample((whole.oneOf ?? whole.anyOf)[0], schemas);
  if (whole.properties) {
    const needed = whole.required?.length ? [...whole.required] : Object.keys(whole.properties).slice(0, 1);
    if (whole.properties.say?.const === "name") needed.push("name");
    return Object.fromEntries([...new Set(needed)].map((name) => [name, name === "name" ? "Anna" : sample(whole.properties[name], schemas)]));
  }
  if (whole.type === "array") return Array.from({ length: Math.max(1, whole.minItems ?? 1) }, () => sample(whole.items, schemas));
  return { integer: 12, number: 0.5, boolean: true, string: "..." }[Array.isArray(whole.type) ? whole.type[0] : whole.type] ?? null;
}
