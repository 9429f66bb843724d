// What programs do with the Vercel AI SDK: `node ai_sdk.mjs URL KEY EMPTY_KEY MODELS`.

import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogleGenerativeAI } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import { embed, generateText, jsonSchema, Output, streamText, tool } from "ai";
import {
  BREAK, EMPTY_KEY, KEY, MODELS, PIXEL, QUESTION, TOOL_QUESTION, UNKNOWN_KEY, URL_, WEATHER, tell,
} from "./telling.mjs";

const openai = (key = KEY) => createOpenAI({ baseURL: `${URL_}/v1`, apiKey: key });
const chat = (name = MODELS.chat, key = KEY) => openai(key).chat(name);
const claude = () => createAnthropic({ baseURL: `${URL_}/v1`, apiKey: KEY })(MODELS.claude);
const gemini = () =>
  createGoogleGenerativeAI({ baseURL: `${URL_}/v1beta`, apiKey: KEY })(MODELS.gemini);
const TOOLS = {
  weather: tool({ description: "Tells the weather.", inputSchema: jsonSchema(WEATHER) }),
};

const generate = (model = chat(), fields = { prompt: QUESTION }) =>
  generateText({ model, maxRetries: 0, ...fields });

/** Stream an answer; the library hands errors to a callback instead of raising them. */
async function stream(model = chat(), prompt = QUESTION) {
  let failed;
  const answer = streamText({ model, prompt, maxRetries: 0, onError: ({ error }) => (failed = error) });
  let said = "";
  for await (const part of answer.textStream) said += part;
  if (failed) throw failed instanceof Error ? failed : Object.assign(new Error("stream"), failed);
  return said;
}

async function tools(model = chat()) {
  const { toolCalls } = await generate(model, { prompt: TOOL_QUESTION, tools: TOOLS });
  return { name: toolCalls[0].toolName, arguments: toolCalls[0].input };
}

async function structured(model = chat()) {
  const output = Output.object({ schema: jsonSchema(WEATHER) });
  return (await generate(model, { prompt: QUESTION, output })).output;
}

async function image() {
  const content = [{ type: "text", text: QUESTION }, { type: "image", image: PIXEL }];
  return (await generate(chat(), { messages: [{ role: "user", content }] })).text;
}

async function embeddings() {
  const model = openai().embedding(MODELS.embedding);
  return (await embed({ model, value: "hello" })).embedding.length;
}

await tell({
  "chat": async () => (await generate()).text,
  "stream": () => stream(),
  "tools": () => tools(),
  "structured": () => structured(),
  "image": image,
  "embeddings": embeddings,
  "responses": async () => (await generate(openai().responses(MODELS.chat))).text,
  "responses stream": () => stream(openai().responses(MODELS.chat)),
  "chat with Claude": async () => (await generate(claude())).text,
  "stream of Claude": () => stream(claude()),
  "tools of Claude": () => tools(claude()),
  "chat with Gemini": async () => (await generate(gemini())).text,
  "stream of Gemini": () => stream(gemini()),
  "unknown key": () => generate(chat(MODELS.chat, UNKNOWN_KEY)),
  "unknown model": () => generate(chat("no-such-model")),
  "no balance": () => generate(chat(MODELS.chat, EMPTY_KEY)),
  "broken stream": () => stream(chat(), BREAK),
});
