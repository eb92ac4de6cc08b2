/**
 * Markdown to elements, for text that is still growing and that nobody vouches for: everything
 * becomes text nodes and a fixed set of elements, links go to http and https only.
 */
import { h, iconButton, announce } from './dom.js';

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([\w+#.-]*)/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*?)\s*#*\s*$/;
const RULE = /^ {0,3}([-*_])(\s*\1){2,}\s*$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( *)([-*+]|\d{1,9}[.)])(\s+|$)/;
const TABLE_RULE = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;
const MAX_DEPTH = 12;

/**
 * Shows text in an element, leaving the blocks that have not changed since the last time as they
 * are, so that a selection in them survives the stream.
 */
export function renderInto(element, text) {
  const blocks = split(text);
  const known = element.blocks ?? [];
  let same = 0;
  while (same < known.length && same < blocks.length && known[same] === blocks[same]) same++;
  while (element.childNodes.length > same) element.lastChild.remove();
  for (const block of blocks.slice(same)) {
    const wrapper = h('div.block');
    wrapper.append(...parse(block.split('\n'), 0));
    element.append(wrapper);
  }
  element.blocks = blocks;
}

/** The source of each outermost block: what blank lines part, fences and lists kept whole. */
function split(text) {
  const blocks = [];
  let lines = [];
  let fence = null;
  const flush = () => {
    if (lines.some((line) => line.trim())) blocks.push(lines.join('\n'));
    lines = [];
  };
  for (const line of text.replace(/\r\n?/g, '\n').split('\n')) {
    const mark = line.match(FENCE);
    if (fence) {
      lines.push(line);
      if (closes(line, fence)) fence = null;
      continue;
    }
    if (mark) fence = mark[1];
    const goesOn = lines.length > 0 && ITEM.test(lines[0]) && (ITEM.test(line) || /^ {2,}/.test(line) || !line.trim());
    const afterBlank = lines.length > 0 && !lines[lines.length - 1].trim();
    if (afterBlank && line.trim() && !goesOn) flush();
    lines.push(line);
  }
  flush();
  return blocks;
}

const closes = (line, fence) => line.trim().startsWith(fence) && !line.trim().replaceAll(fence[0], '');

function parse(lines, depth) {
  const nodes = [];
  let i = 0;
  while (i < lines.length) {
    const line = lines[i];
    const fence = line.match(FENCE);
    const heading = line.match(HEADING);
    if (!line.trim()) {
      i++;
    } else if (fence) {
      const start = ++i;
      while (i < lines.length && !closes(lines[i], fence[1])) i++;
      nodes.push(code(lines.slice(start, i).join('\n'), fence[2]));
      i++;
    } else if (heading) {
      // The page has its own h1 and h2.
      nodes.push(h(`h${Math.min(6, heading[1].length + 2)}`, {}, ...inline(heading[2])));
      i++;
    } else if (RULE.test(line)) {
      nodes.push(h('hr'));
      i++;
    } else if (QUOTE.test(line) && depth < MAX_DEPTH) {
      const start = i;
      while (i < lines.length && lines[i].trim()) i++;
      const inner = lines.slice(start, i).map((quoted) => quoted.replace(QUOTE, ''));
      nodes.push(h('blockquote', {}, ...parse(inner, depth + 1)));
    } else if (ITEM.test(line) && depth < MAX_DEPTH) {
      const [list, next] = parseList(lines, i, depth);
      nodes.push(list);
      i = next;
    } else if (line.includes('|') && TABLE_RULE.test(lines[i + 1] ?? '')) {
      const start = i;
      while (i < lines.length && lines[i].includes('|')) i++;
      nodes.push(table(lines.slice(start, i)));
    } else {
      const start = i++;
      while (i < lines.length && !startsBlock(lines[i])) i++;
      nodes.push(paragraph(lines.slice(start, i)));
    }
  }
  return nodes;
}

const startsBlock = (line) =>
  !line.trim() || [FENCE, HEADING, RULE, QUOTE, ITEM].some((pattern) => pattern.test(line));

function paragraph(lines) {
  const children = [];
  lines.forEach((line, index) => {
    if (index > 0) children.push(h('br'));
    children.push(...inline(line.trim()));
  });
  return h('p', {}, ...children);
}

function parseList(lines, from, depth) {
  const first = lines[from].match(ITEM);
  const indent = first[1].length;
  const ordered = /\d/.test(first[2]);
  const list = h(ordered ? 'ol' : 'ul', ordered ? { start: parseInt(first[2], 10) } : {});
  let i = from;
  while (i < lines.length) {
    const mark = lines[i].match(ITEM);
    if (!mark || mark[1].length < indent || /\d/.test(mark[2]) !== ordered) break;
    const inner = [lines[i].slice(mark[0].length)];
    const needed = indent + 2;
    for (i++; i < lines.length; i++) {
      const line = lines[i];
      const own = line.length - line.trimStart().length;
      if (line.trim() && own < needed && (ITEM.test(line) || !lines[i - 1].trim())) break;
      inner.push(line.slice(Math.min(own, mark[0].length)));
    }
    const children = parse(inner, depth + 1);
    // One paragraph alone needs no element of its own.
    const [only] = children;
    if (only?.tagName === 'P') children.splice(0, 1, ...only.childNodes);
    list.append(h('li', {}, ...children));
  }
  return [list, Math.max(i, from + 1)];
}

const cells = (line) =>
  line.trim().replace(/^\|/, '').replace(/\|$/, '').split('|').map((cell) => cell.trim());

function table(lines) {
  const align = cells(lines[1]).map((cell) => (cell.endsWith(':') ? (cell.startsWith(':') ? 'center' : 'right') : 'left'));
  const row = (line, name) =>
    h('tr', {}, ...cells(line).map((cell, i) => h(name, { class: `to-${align[i] ?? 'left'}` }, ...inline(cell))));
  return h(
    'div.table',
    { tabindex: 0 },
    h('table', {}, h('thead', {}, row(lines[0], 'th')), h('tbody', {}, ...lines.slice(2).map((line) => row(line, 'td')))),
  );
}

function code(source, language) {
  const copy = iconButton('copy', 'Copy this code', () => {
    copyText(source);
  });
  return h('div.code', {}, h('div.code-head', {}, h('span', {}, language || 'text'), copy), h('pre', { tabindex: 0 }, h('code', {}, source)));
}

export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Browsers keep the clipboard from pages that came without TLS from another machine.
    const area = h('textarea', {});
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  }
  announce('Copied');
}

const INLINE = [
  [/^\\([!-/:-@[-`{-~])/, (m) => m[1]],
  [/^(`+)([^]*?[^`])\1(?!`)/, (m) => h('code', {}, m[2].trim())],
  [/^\*\*\*(?=\S)([^]*?\S)\*\*\*/, (m, d) => h('strong', {}, h('em', {}, ...inline(m[1], d)))],
  [/^\*\*(?=\S)([^]*?\S)\*\*(?!\*)/, (m, d) => h('strong', {}, ...inline(m[1], d))],
  [/^\*(?=[^\s*])([^*]*?[^\s*])\*(?!\*)/, (m, d) => h('em', {}, ...inline(m[1], d))],
  [/^~~(?=\S)([^]*?\S)~~/, (m, d) => h('s', {}, ...inline(m[1], d))],
  [/^\[([^[\]]+)\]\(\s*(https?:\/\/[^\s()<>]+(?:\([^\s()<>]*\)[^\s()<>]*)*)\s*\)/, (m, d) => link(m[2], inline(m[1], d))],
  [/^https?:\/\/[^\s<>"'）】]*[^\s<>"'）】.,;:!?)\]}*_`]/, (m) => link(m[0], [m[0]])],
];
const UNDERSCORES = [
  [/^__(?=\S)([^]*?\S)__(?![\w_])/, (m, d) => h('strong', {}, ...inline(m[1], d))],
  [/^_(?=[^\s_])([^_]*?[^\s_])_(?![\w_])/, (m, d) => h('em', {}, ...inline(m[1], d))],
];

function link(url, children) {
  return h('a', { href: url, target: '_blank', rel: 'noopener noreferrer nofollow' }, ...children);
}

function inline(text, depth = 0) {
  if (depth > MAX_DEPTH) return [text];
  const nodes = [];
  let plain = '';
  let i = 0;
  while (i < text.length) {
    const found = '\\`*_~[h'.includes(text[i]) && matchAt(text, i, depth);
    if (found) {
      if (plain) nodes.push(plain);
      plain = '';
      nodes.push(found.node);
      i += found.length;
    } else {
      plain += text[i++];
    }
  }
  if (plain) nodes.push(plain);
  return nodes;
}

function matchAt(text, i, depth) {
  if (text[i] === '*' && /\d/.test(text[i - 1] ?? '') && text[i + 1] !== '*') return null; // 2*3*4
  const inWord = i > 0 && /[\p{L}\p{N}_]/u.test(text[i - 1]);
  const rest = text.slice(i);
  for (const [pattern, make] of inWord ? INLINE : [...INLINE, ...UNDERSCORES]) {
    const match = rest.match(pattern);
    if (match) return { node: make(match, depth + 1), length: match[0].length };
  }
  return null;
}
