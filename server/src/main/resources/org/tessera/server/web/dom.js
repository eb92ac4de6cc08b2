/** Elements without markup: whatever text comes from a model or a user stays text. */

/**
 * Makes an element.
 *
 * @param {string} name of the element, with classes behind dots, such as "button.icon"
 * @param {Object} attributes functions become listeners ("click": ...), true an empty attribute
 * @param {...(Node|string|null|false)} children
 */
export function h(name, attributes = {}, ...children) {
  const [tag, ...classes] = name.split('.');
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(' ');
  setAttributes(element, attributes);
  element.append(...children.flat().filter((child) => child !== null && child !== false && child !== undefined));
  return element;
}

/** Makes an SVG element. */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  setAttributes(element, attributes);
  element.append(...children);
  return element;
}

function setAttributes(element, attributes) {
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(key, value);
    else if (value === true) element.setAttribute(key, '');
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value);
  }
}

export const byId = (id) => document.getElementById(id);

const ICONS = {
  attach: 'M21 11.5l-8.8 8.8a5.5 5.5 0 0 1-7.8-7.8l9-9a3.7 3.7 0 0 1 5.2 5.200l-9 9a1.8 1.8 0 0 1-2.6-2.600l8.2-8.2',
  camera: 'M4 8h3l2-3h6l2 3h3a1 1 0 0 1 1 1v9a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1V9a1 1 0 0 1 1-1zM12 16.500a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7z',
  send: 'M12 20V5M5.5 11.500L12 5l6.5 6.5',
  stop: 'M7 7h10v10H7z',
  menu: 'M4 7h16M4 12h16M4 17h16',
  theme: 'M12 4a8 8 0 1 0 0 16zM12 4a8 8 0 0 1 0 16',
  close: 'M6 6l12 12M18 6L6 18',
  copy: 'M9 9h11v11H9zM5 15H4V4h11v1',
  edit: 'M4 20l1-4L16.5 4.500l3 3L8 19z',
  again: 'M20 12a8 8 0 1 1-2.5-5.800M20 3v4h-4',
  bin: 'M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13',
  devices: 'M7 7h10v10H7zM10 4v3M14 4v3M10 17v3M14 17v3M4 10h3M4 14h3M17 10h3M17 14h3',
  settings: 'M4 7h9M17 7h3M4 17h3M11 17h9M15 9.500a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM9 19.500a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5z',
  plus: 'M12 5v14M5 12h14',
  grid: 'M4 4h16v16H4zM12 4v16M4 12h16',
};

export function icon(name) {
  return svg(
    'svg',
    { viewBox: '0 0 24 24', 'aria-hidden': 'true', class: `icon-${name}` },
    svg('path', { d: ICONS[name], fill: name === 'stop' ? 'currentColor' : 'none' }),
  );
}

export function iconButton(name, label, onClick) {
  return h('button.icon.small', { type: 'button', 'aria-label': label, title: label, click: onClick }, icon(name));
}

/** 1536 becomes "1.5 KB". */
export function bytes(count) {
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  let unit = 0;
  while (count >= 1000 && unit < units.length - 1) {
    count /= 1024;
    unit++;
  }
  return `${count.toFixed(count < 10 && unit > 0 ? 1 : 0)} ${units[unit]}`;
}

/** What screen readers say now. */
export function announce(text) {
  byId('status').textContent = text;
}
