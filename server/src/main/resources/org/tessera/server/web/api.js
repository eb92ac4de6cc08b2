/** The server's side of things. */
import { settings } from './settings.js';

/** What the server said was wrong. */
export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

function headers(more = {}) {
  const key = settings.apiKey;
  return key ? { ...more, Authorization: `Bearer ${key}` } : more;
}

async function checked(response) {
  if (response.ok) return response;
  let message = `the server answered ${response.status}`;
  try {
    message = (await response.json()).error.message;
  } catch {
    // not in OpenAI's shape: the status has to do
  }
  if (response.status === 401) message = 'The server asks for an API key: put it into the settings.';
  throw new ApiError(message, response.status);
}

async function get(path) {
  return (await checked(await fetch(path, { headers: headers() }))).json();
}

async function post(path, body, signal) {
  const response = await fetch(path, {
    method: 'POST',
    headers: headers({ 'Content-Type': 'application/json' }),
    body: JSON.stringify(body),
    signal,
  });
  return checked(response);
}

/** The name of the model. */
export async function model() {
  return (await get('/v1/models')).data[0].id;
}

export const devices = () => get('/v1/tessera/devices');

export async function metrics() {
  return (await checked(await fetch('/metrics', { headers: headers() }))).text();
}

const plans = new Map();

/** How a picture of this size is cut under a request's options; asked for once. */
export function slices(width, height, { maxSliceNums, video }) {
  const body = { width, height, video, max_slice_nums: maxSliceNums };
  const key = JSON.stringify(body);
  if (!plans.has(key)) {
    const plan = post('/v1/tessera/slices', body).then((response) => response.json());
    plan.catch(() => plans.delete(key));
    plans.set(key, plan);
  }
  return plans.get(key);
}

/**
 * Streams an answer.
 *
 * @param {Object[]} messages in OpenAI's form
 * @param {AbortSignal} signal
 * @yields {Object} chunks in OpenAI's form
 */
export async function* chat(messages, signal) {
  const body = { messages, stream: true, stream_options: { include_usage: true } };
  const names = {
    temperature: 'temperature',
    topP: 'top_p',
    maxTokens: 'max_tokens',
    seed: 'seed',
    maxSliceNums: 'max_slice_nums',
  };
  for (const [setting, field] of Object.entries(names)) {
    if (settings[setting] !== null) body[field] = settings[setting];
  }
  const response = await post('/v1/chat/completions', body, signal);
  for await (const data of events(response.body)) {
    if (data === '[DONE]') return;
    const chunk = JSON.parse(data);
    if (chunk.error) throw new ApiError(chunk.error.message, 500);
    yield chunk;
  }
  throw new ApiError('The connection to the server broke off.', 0);
}

/** The data of server-sent events, one line each. */
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split(/\r?\n/);
    rest = lines.pop();
    for (const line of lines) {
      if (line.startsWith('data:')) yield line.slice(5).trimStart();
    }
  }
}
