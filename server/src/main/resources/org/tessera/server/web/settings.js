/** What a user may set, kept in localStorage. */
import { byId, h, icon } from './dom.js';

const KEY = 'tessera-settings';

const DEFAULTS = {
  temperature: null,
  topP: null,
  maxTokens: 1024,
  seed: null,
  maxSliceNums: null,
  systemPrompt: '',
  apiKey: '',
  drawSlices: true,
  theme: 'system',
};

const FIELDS = [
  ['systemPrompt', 'System prompt', 'textarea', {}, 'Said to the model before every conversation.'],
  ['temperature', 'Temperature', 'number', { min: 0, max: 2, step: 0.1, placeholder: '0.7' }, '0 always takes the likeliest token.'],
  ['topP', 'Top p', 'number', { min: 0.01, max: 1, step: 0.01, placeholder: '0.8' }, ''],
  ['maxTokens', 'Tokens at most', 'number', { min: 1, step: 1, placeholder: 'what fits' }, ''],
  ['seed', 'Seed', 'number', { min: 0, step: 1, placeholder: 'a fresh one' }, 'The same seed gives the same answer.'],
  ['maxSliceNums', 'Slices at most', 'number', { min: 1, max: 16, step: 1, placeholder: "the model's own" }, 'How finely pictures are cut: more read smaller print and take longer.'],
  ['drawSlices', 'Draw the slices over pictures', 'checkbox', {}, ''],
  ['apiKey', 'API key', 'password', { autocomplete: 'off' }, 'Only where the server asks for another than the browser has sent. Kept in this browser.'],
];

export const settings = { ...DEFAULTS, ...read() };

function read() {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? '{}');
  } catch {
    return {};
  }
}

function store() {
  localStorage.setItem(KEY, JSON.stringify(settings));
}

/** The theme that is seen: as chosen, or as the system has it. */
function seenTheme() {
  if (settings.theme !== 'system') return settings.theme;
  return matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
}

export function applyTheme() {
  document.documentElement.dataset.theme = seenTheme();
}

export function switchTheme() {
  settings.theme = seenTheme() === 'dark' ? 'light' : 'dark';
  store();
  applyTheme();
}

/**
 * Opens the dialog.
 *
 * @param {{changed: function(): void, forget: function(): void}} actions what to do when something
 *     was changed, and when all conversations are to be deleted
 */
export function openSettings({ changed, forget }) {
  const dialog = byId('settings');
  const close = () => dialog.close();
  const form = h('form.fields', { method: 'dialog', submit: (event) => event.preventDefault() });
  for (const field of FIELDS) form.append(fieldOf(field, changed));
  dialog.replaceChildren(
    h('header', {}, h('h2', { id: 'settings-title' }, 'Settings'), closeButton(close)),
    form,
    h(
      'footer',
      {},
      h('button', { type: 'button', click: () => { reset(); openSettings({ changed, forget }); changed(); } }, 'Reset'),
      h('button.danger', { type: 'button', click: () => confirm('Delete all conversations?') && forget() }, 'Delete all conversations'),
    ),
  );
  if (!dialog.open) dialog.showModal();
}

function reset() {
  const { theme } = settings;
  Object.assign(settings, DEFAULTS, { theme });
  store();
}

function fieldOf([name, label, type, attributes, hint], changed) {
  const id = `setting-${name}`;
  const input = h(type === 'textarea' ? 'textarea' : 'input', { id, rows: 3, type, ...attributes });
  if (type === 'checkbox') input.checked = settings[name];
  else input.value = settings[name] ?? '';
  input.addEventListener('change', () => {
    if (!input.reportValidity()) return;
    settings[name] = valueOf(input, type);
    store();
    changed();
  });
  return h(`div.field.${type}`, {}, h('label', { for: id }, label), input, hint && h('p.muted', {}, hint));
}

function valueOf(input, type) {
  if (type === 'checkbox') return input.checked;
  if (type !== 'number') return input.value.trim();
  return input.value === '' ? null : Number(input.value);
}

export function closeButton(close) {
  return h('button.icon', { type: 'button', 'aria-label': 'Close', click: close }, icon('close'));
}
