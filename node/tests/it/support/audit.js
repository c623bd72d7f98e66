// Looks at a page as a checker of accessibility does and returns what it finds wrong, one line each.
// What is judged is what the browser computed: styles, labels, sizes; not the source.
const findings = [];
const all = css => [...document.querySelectorAll(css)];
const shown = it => it.checkVisibility({ opacityProperty: false, visibilityProperty: true }) && it.getClientRects().length > 0;
const hidden = it => it.closest('[aria-hidden=true], [inert]') !== null;
const brief = it => {
    const id = it.id ? '#' + it.id : '';
    const kind = [...it.classList].map(name => '.' + name).join('');
    return `<${it.tagName.toLowerCase()}${id}${kind}>`;
};
const told = (it, words) => findings.push(`${brief(it)}: ${words}`);
const trimmed = text => (text ?? '').replace(/\s+/g, ' ').trim();

// ---- names
const words = it => trimmed([it, ...it.querySelectorAll('*')]
    .map(part => part.getAttribute('aria-label') ?? part.getAttribute('alt')
        ?? [...part.childNodes].filter(node => node.nodeType === Node.TEXT_NODE).map(node => node.data).join(' ')).join(' '));
const nameOf = it => {
    const by = it.getAttribute('aria-labelledby');
    if (by) return trimmed(by.split(/\s+/).map(id => document.getElementById(id)?.textContent ?? '').join(' '));
    const own = trimmed(it.getAttribute('aria-label'));
    if (own) return own;
    // A placeholder is gone with the first letter: it is no label.
    if (it.labels) { const label = trimmed([...it.labels].map(label => label.textContent).join(' ')); if (label) return label; }
    const title = it.querySelector(':scope > title');
    if (title) return trimmed(title.textContent);
    if (['INPUT', 'TEXTAREA', 'SELECT'].includes(it.tagName)) return it.type === 'submit' ? trimmed(it.value) : '';
    return words(it);
};
const CONTROLS = 'a[href], button, input:not([type=hidden]), select, textarea, summary, [contenteditable], [tabindex], '
    + '[role=button], [role=tab], [role=link], [role=checkbox], [role=switch], [role=option], [role=menuitem], [onclick]';
for (const it of all(CONTROLS).filter(shown)) {
    if (hidden(it)) told(it, 'can be used but is hidden from assistive technology');
    else if (!nameOf(it)) told(it, 'has no accessible name');
    if (it.tabIndex > 0) told(it, 'changes the order of focus by a positive tabindex');
    const role = it.getAttribute('role') ?? it.tagName;
    if (it.hasAttribute('tabindex') && it.tabIndex >= 0 && ['DIV', 'SPAN', 'P', 'g'].includes(role)) {
        told(it, 'takes the focus but has no role');
    }
}
for (const it of all('img').filter(shown)) if (!it.hasAttribute('alt')) told(it, 'has no alt');
for (const it of all('svg').filter(it => shown(it) && !hidden(it) && !it.parentElement.closest('svg'))) {
    if (it.closest('button, a, [role=button], [role=img]')) continue;
    if (!it.getAttribute('role')) told(it, 'has no role');
    if (!nameOf(it)) told(it, 'has no label');
}

// ---- structure
const ids = new Map();
for (const it of all('[id]')) ids.set(it.id, (ids.get(it.id) ?? 0) + 1);
for (const [id, count] of ids) if (count > 1) findings.push(`the id "${id}" stands ${count} times`);
for (const name of ['for', 'aria-labelledby', 'aria-describedby', 'aria-controls', 'aria-owns', 'aria-activedescendant']) {
    for (const it of all(`[${name}]`)) {
        for (const id of it.getAttribute(name).split(/\s+/)) {
            if (id && !document.getElementById(id)) told(it, `${name} names "${id}", which is not there`);
        }
    }
}
if (!document.documentElement.lang) findings.push('the document has no language');
if (!document.title.trim()) findings.push('the document has no title');
const headings = all('h1, h2, h3, h4, h5, h6').filter(it => !hidden(it) && it.checkVisibility());
if (headings.filter(it => it.tagName === 'H1').length !== 1) findings.push('there is not just one first heading');
let level = 0;
for (const it of headings) {
    const own = Number(it.tagName[1]);
    if (own > level + 1) told(it, `is a heading of level ${own} after one of level ${level}`);
    if (!trimmed(it.textContent)) told(it, 'is an empty heading');
    level = own;
}
const LANDMARKS = 'main, [role=main], header, [role=banner], nav, [role=navigation], aside, [role=complementary], footer, '
    + '[role=contentinfo], [role=search], search, form[aria-label], form[aria-labelledby], section[aria-label], '
    + 'section[aria-labelledby], [role=region], [role=dialog], dialog, [role=alert], [role=status]';
if (all('main, [role=main]').filter(shown).length !== 1) findings.push('there is not just one main landmark');
if (!all('header, [role=banner]').some(shown)) findings.push('there is no banner landmark');
const labels = new Map();
for (const it of all('nav, aside, section[aria-label], section[aria-labelledby], [role=region], [role=navigation]').filter(shown)) {
    const label = `${it.getAttribute('role') ?? it.tagName.toLowerCase()} "${nameOf(it) && trimmed(it.getAttribute('aria-label') ?? nameOf(it))}"`;
    if (labels.has(label)) told(it, `is a second landmark ${label}`);
    labels.set(label, it);
}
for (const it of all('ul, ol').filter(it => !it.getAttribute('role'))) {
    for (const child of it.children) if (!['LI', 'SCRIPT', 'TEMPLATE'].includes(child.tagName)) told(child, 'stands in a list but is no item');
}
for (const it of all('[role=tab]')) {
    if (!it.closest('[role=tablist]')) told(it, 'is a tab outside a tab list');
    if (!it.hasAttribute('aria-selected')) told(it, 'is a tab that does not say whether it is selected');
}
for (const it of all('table').filter(shown)) if (!it.querySelector('th')) told(it, 'is a table without headings');
for (const css of ['#messages', '#state']) {
    const it = document.querySelector(css);
    if (it && shown(it) && !it.closest('[aria-live], [role=log], [role=status], [role=alert]')) told(it, 'changes, but is not announced');
}
for (const it of all('meta[name=viewport]')) {
    if (/user-scalable\s*=\s*no|maximum-scale\s*=\s*[1-4](\D|$)/.test(it.content)) told(it, 'forbids to zoom');
}

// ---- colours
const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
const known = new Map();
const colour = text => {
    if (!known.has(text)) {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = '#000';
        canvas.fillStyle = text;
        canvas.fillRect(0, 0, 1, 1);
        const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
        known.set(text, [r, g, b, a / 255]);
    }
    return known.get(text);
};
const over = (top, bottom) => {
    const a = top[3] + bottom[3] * (1 - top[3]);
    const mix = at => a === 0 ? 0 : (top[at] * top[3] + bottom[at] * bottom[3] * (1 - top[3])) / a;
    return [mix(0), mix(1), mix(2), a];
};
const sheet = colour(getComputedStyle(document.documentElement).colorScheme.includes('dark')
    && matchMedia('(prefers-color-scheme: dark)').matches ? '#121212' : '#fff');
const behind = it => {
    let result = [0, 0, 0, 0];
    for (let at = it; at && result[3] < 0.999; at = at.parentElement) {
        const style = getComputedStyle(at);
        if (style.backgroundImage !== 'none' && style.backgroundImage.includes('gradient')) told(at, 'has a gradient behind text');
        result = over(result, colour(style.backgroundColor));
    }
    return over(result, sheet);
};
// A letter of a drawing stands on the last shape that was drawn under its middle.
const behindDrawn = it => {
    const box = it.getBoundingClientRect();
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    let result = behind(it.closest('svg'));
    for (const shape of it.closest('svg').querySelectorAll('circle, rect, ellipse, path, polygon')) {
        const area = shape.getBoundingClientRect();
        const covers = area.left <= x && x <= area.right && area.top <= y && y <= area.bottom;
        const before = shape.compareDocumentPosition(it) & Node.DOCUMENT_POSITION_FOLLOWING;
        const { fill, fillOpacity, visibility, display } = getComputedStyle(shape);
        if (!covers || !before || fill === 'none' || visibility === 'hidden' || display === 'none' || shape.tagName === 'path') continue;
        const paint = colour(fill);
        result = over([paint[0], paint[1], paint[2], paint[3] * Number(fillOpacity) * seen(shape)], result);
    }
    return result;
};
const seen = it => { let part = 1; for (let at = it; at; at = at.parentElement) part *= Number(getComputedStyle(at).opacity); return part; };
const light = ([r, g, b]) => {
    const part = [r, g, b].map(value => value / 255).map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    return 0.2126 * part[0] + 0.7152 * part[1] + 0.0722 * part[2];
};
const contrast = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
const judge = (it, text, paint, what, ground = behind(it)) => {
    const ink = colour(paint);
    const found = contrast(over([ink[0], ink[1], ink[2], ink[3] * seen(it)], ground), ground);
    if (found < 4.5) told(it, `${what} "${trimmed(text).slice(0, 30)}" has a contrast of ${found.toFixed(2)}: ${paint} on ${ground.map(Math.round)}`);
};
const judged = new Set();
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
    const it = walker.currentNode.parentElement;
    const text = walker.currentNode.data;
    if (judged.has(it) || !text.trim() || !shown(it) || it.closest('script, style, template, :disabled, [aria-disabled=true]')) continue;
    const box = it.getBoundingClientRect();
    // What only assistive technology reads is a pixel large.
    if (box.width <= 1 || box.height <= 1) continue;
    judged.add(it);
    const drawn = it.closest('svg') !== null;
    if (drawn) judge(it, text, getComputedStyle(it).fill, 'the drawn text', behindDrawn(it));
    else judge(it, text, getComputedStyle(it).color, 'the text');
    if (!hidden(it) && !it.closest(LANDMARKS)) told(it, `the text "${trimmed(text).slice(0, 30)}" stands in no landmark`);
}
for (const it of all('input, textarea').filter(shown)) {
    if (it.value) judge(it, it.value, getComputedStyle(it).color, 'the value');
    else if (it.placeholder) judge(it, it.placeholder, getComputedStyle(it, '::placeholder').color, 'the placeholder');
}

// ---- room
if (document.documentElement.scrollWidth > document.documentElement.clientWidth) {
    findings.push(`the page is ${document.documentElement.scrollWidth} pixels wide in a window of ${document.documentElement.clientWidth}`);
    const wide = all('body *').filter(it => shown(it) && it.getBoundingClientRect().right > document.documentElement.clientWidth + 1);
    for (const it of wide.slice(0, 3)) told(it, `reaches to ${Math.round(it.getBoundingClientRect().right)}`);
}
for (const it of all('button, input, select, textarea, [role=button], [role=tab]').filter(it => shown(it) && !it.disabled)) {
    const box = it.getBoundingClientRect();
    const cover = it.labels?.length ? Math.max(...[...it.labels].map(label => label.getBoundingClientRect().height), box.height) : box.height;
    if (cover < 24 || box.width < 24 && !it.labels?.length) told(it, `is ${Math.round(box.width)}×${Math.round(box.height)} small`);
}
if (matchMedia('(prefers-reduced-motion: reduce)').matches) {
    const moving = document.getAnimations().filter(it => it.playState === 'running' && (it.effect?.getComputedTiming().duration ?? 0) > 20);
    for (const it of moving) if (it.effect?.target) told(it.effect.target, 'moves although motion is unwanted');
}
return findings;
