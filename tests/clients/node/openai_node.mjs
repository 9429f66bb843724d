// What programs do with openai for Node: `node openai_node.mjs URL KEY EMPTY_KEY MODELS`.

import OpenAI, { toFile } from "openai";
import {
  BREAK, EMPTY_KEY, KEY, MODELS, PIXEL, QUESTION, TOOL_QUESTION, UNKNOWN_KEY, URL_, WEATHER, tell,
} from "./telling.mjs";

const MODEL = MODELS.chat;
const FUNCTION = { name: "weather", description: "Tells the weather.", parameters: WEATHER };
const TOOLS = [{ type: "function", function: FUNCTION }];

const client = (key = KEY) =>
  new OpenAI({ baseURL: `${URL_}/v1`, apiKey: key, maxRetries: 0 });

const ask = (content = QUESTION, { key, ...fields } = {}) =>
  client(key).chat.completions.create({
    model: MODEL, messages: [{ role: "user", content }], ...fields,
  });

async function stream(question = QUESTION) {
  let said = "";
  for await (const chunk of await ask(question, { stream: true })) {
    said += chunk.choices[0].delta.content ?? "";
  }
  return said;
}

async function tools() {
  const answer = await ask(TOOL_QUESTION, { tools: TOOLS });
  const [call] = answer.choices[0].message.tool_calls;
  return { name: call.function.name, arguments: JSON.parse(call.function.arguments) };
}

async function structured() {
  const form = { name: "weather", schema: WEATHER, strict: true };
  const answer = await ask(QUESTION, { response_format: { type: "json_schema", json_schema: form } });
  return JSON.parse(answer.choices[0].message.content);
}

async function image() {
  const picture = { type: "image_url", image_url: { url: `data:image/png;base64,${PIXEL}` } };
  const answer = await ask([{ type: "text", text: QUESTION }, picture]);
  return answer.choices[0].message.content;
}

async function responsesStream(question = QUESTION) {
  let said = "";
  const events = await client().responses.create({ model: MODEL, input: question, stream: true });
  for await (const event of events) {
    if (event.type === "response.output_text.delta") said += event.delta;
  }
  return said;
}

function silence() {
  const wav = Buffer.alloc(16044);
  wav.write("RIFF", 0);
  wav.writeUInt32LE(16036, 4);
  wav.write("WAVEfmt ", 8);
  wav.writeUInt32LE(16, 16);
  wav.writeUInt16LE(1, 20);
  wav.writeUInt16LE(1, 22);
  wav.writeUInt32LE(8000, 24);
  wav.writeUInt32LE(16000, 28);
  wav.writeUInt16LE(2, 32);
  wav.writeUInt16LE(16, 34);
  wav.write("data", 36);
  wav.writeUInt32LE(16000, 40);
  return toFile(wav, "a.wav");
}

async function embeddings() {
  const answer = await client().embeddings.create({ model: MODELS.embedding, input: "hello" });
  return answer.data[0].embedding.length;
}

async function models() {
  const found = [];
  for await (const model of client().models.list()) found.push(model.id);
  return found;
}

async function speech() {
  const spoken = await client().audio.speech.create({
    model: MODELS.speech, voice: "alloy", input: QUESTION,
  });
  return (await spoken.arrayBuffer()).byteLength;
}

async function transcription() {
  const answer = await client().audio.transcriptions.create({
    model: MODELS.transcription, file: await silence(),
  });
  return answer.text;
}

await tell({
  "chat": async () => (await ask()).choices[0].message.content,
  "stream": stream,
  "tools": tools,
  "structured": structured,
  "image": image,
  "embeddings": embeddings,
  "responses": async () =>
    (await client().responses.create({ model: MODEL, input: QUESTION })).output_text,
  "responses stream": responsesStream,
  "speech": speech,
  "transcription": transcription,
  "models": models,
  "unknown key": () => ask(QUESTION, { key: UNKNOWN_KEY }),
  "unknown model": () => ask(QUESTION, { model: "no-such-model" }),
  "no balance": () => ask(QUESTION, { key: EMPTY_KEY }),
  "bad request": () => ask(7),
  "broken stream": () => stream(BREAK),
  "broken response": () => responsesStream(BREAK),
});
