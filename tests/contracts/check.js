// Holds a document of deploy/contracts against the reader that its users have.
//
//   node check.js asyncapi FILE    @asyncapi/parser: neither an error nor a warning nor a hint
//   node check.js openapi FILE     @apidevtools/swagger-parser: valid, every reference leads somewhere

import { readFileSync } from 'node:fs';

const SEVERITY = ['error', 'warning', 'information', 'hint'];

async function asyncapi(file) {
  const { Parser } = await import('@asyncapi/parser');
  const { document, diagnostics } = await new Parser().parse(readFileSync(file, 'utf8'));
  for (const { severity, code, message, path } of diagnostics) {
    console.error(`${SEVERITY[severity]}  ${code}  ${path.join('.')}: ${message}`);
  }
  if (diagnostics.length > 0 || document === undefined) {
    throw new Error(`${file} is not clean`);
  }
  const counts = [document.allChannels(), document.allOperations(), document.allMessages()];
  const [channels, operations, messages] = counts.map((all) => all.length);
  if (channels === 0 || operations === 0 || messages === 0) {
    throw new Error(`${file} says nothing`);
  }
  return `${channels} channels, ${operations} operations, ${messages} messages`;
}

async function openapi(file) {
  const { default: SwaggerParser } = await import('@apidevtools/swagger-parser');
  const document = await SwaggerParser.validate(file);
  const paths = Object.keys(document.paths).length;
  if (paths === 0) {
    throw new Error(`${file} says nothing`);
  }
  return `${paths} paths`;
}

const [kind, file] = process.argv.slice(2);
const check = { asyncapi, openapi }[kind];
try {
  console.log(`${file}: ${await check(file)}`);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
