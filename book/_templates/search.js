// Search by section. BOOK_SECTIONS holds, for each page, its address, its title and its sections: id, title, text, code.
"use strict";

const BookSearch = {
  SHOWN: 3, // sections of a page; the others are folded
  BEFORE: 90, // characters of an excerpt before the word that was found
  LENGTH: 240,

  // What a word must begin with. Stemming changes endings, "entropy" to "entropi": the part that stays finds them all.
  root(word) {
    const stem = new Stemmer().stemWord(word);
    let same = 0;
    while (same < stem.length && stem[same] === word[same]) same += 1;
    return same > 2 ? word.slice(0, same) : word;
  },

  // A pattern for each word of a query; a word of one or two letters is looked for as it is.
  patterns(query) {
    const words = query.toLowerCase().match(/[\p{L}\p{N}_]+/gu) ?? [];
    const telling = words.filter((word) => !stopwords.includes(word));
    return [...new Set(telling.length ? telling : words)].map((word) => {
      const end = word.length > 2 ? "[\\p{L}\\p{N}_]*" : "(?![\\p{L}\\p{N}_])";
      return new RegExp(`(?<![\\p{L}\\p{N}_])${BookSearch.root(word)}${end}`, "giu");
    });
  },

  count: (pattern, text) => text.match(pattern)?.length ?? 0,

  // Return the pages that have most of the words, the best first, each with its sections, the best first.
  find(patterns) {
    const found = BOOK_SECTIONS.flatMap(([address, page, sections]) =>
      sections.map(([id, title, text, code]) => {
        const scores = patterns.map((pattern) => {
          const inside = Math.min(BookSearch.count(pattern, text), 10) + (BookSearch.count(pattern, code) ? 1 : 0);
          const named = BookSearch.count(pattern, title || page) ? 30 : 0;
          return inside + named && inside + named + (BookSearch.count(pattern, page) ? 10 : 0);
        });
        const words = scores.filter(Boolean).length;
        return { address, page, id, title, text, code, words, score: scores.reduce((sum, score) => sum + score, 0) };
      }));
    const words = Math.max(...found.map((place) => place.words));
    const pages = new Map();
    found.filter((place) => place.words && place.words === words).sort((a, b) => b.score - a.score).forEach((place) => {
      if (!pages.has(place.address)) pages.set(place.address, []);
      pages.get(place.address).push(place);
    });
    return { words, pages: [...pages.values()] };
  },

  // Return the part of a text round the first word found in it, and a few words that lead a browser there.
  excerpt(place, patterns) {
    const [text, at] = [place.text, place.code].flatMap((part) => patterns.map((pattern) => [part, part.search(pattern)]))
      .find(([, position]) => position >= 0) ?? [place.text, 0];
    const from = at <= BookSearch.BEFORE ? 0 : text.indexOf(" ", at - BookSearch.BEFORE) + 1;
    const end = from + BookSearch.LENGTH < text.length ? text.lastIndexOf(" ", from + BookSearch.LENGTH) : text.length;
    const words = text === place.text && place.text ? text.slice(at).match(/^\S+(?: [\p{L}’-]+){0,3}/u)?.[0] : "";
    return { text: `${from ? "… " : ""}${text.slice(from, end)}${end < text.length ? " …" : ""}`, words };
  },

  // Return a piece of text with what was found in it marked.
  marked(text, patterns) {
    const piece = document.createElement("p");
    piece.className = "context";
    const spans = patterns.flatMap((pattern) => [...text.matchAll(pattern)].map((m) => [m.index, m.index + m[0].length]));
    let at = 0;
    spans.sort((a, b) => a[0] - b[0]).filter(([start]) => start >= 0).forEach(([start, end]) => {
      if (start < at) return;
      piece.append(text.slice(at, start));
      piece.append(Object.assign(document.createElement("mark"), { textContent: text.slice(start, end) }));
      at = end;
    });
    piece.append(text.slice(at));
    return piece;
  },

  item(place, patterns) {
    const item = document.createElement("li");
    const link = item.appendChild(document.createElement("a"));
    const { text, words } = BookSearch.excerpt(place, patterns);
    const phrase = words ? `:~:text=${encodeURIComponent(words).replaceAll("-", "%2D")}` : "";
    link.href = `${place.address}#${place.id}${phrase}`;
    link.textContent = place.title || "Beginning of the page";
    if (text) item.append(BookSearch.marked(text, patterns));
    return item;
  },

  list(places, patterns) {
    const list = document.createElement("ul");
    list.append(...places.map((place) => BookSearch.item(place, patterns)));
    return list;
  },

  show(query, out) {
    const patterns = BookSearch.patterns(query);
    const { words, pages } = BookSearch.find(patterns);
    const places = pages.reduce((sum, page) => sum + page.length, 0);
    const many = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;
    const status = document.createElement("p");
    status.setAttribute("role", "status");
    status.textContent = !places ? `Nothing was found for “${query}”.`
      : `${words < patterns.length ? `No section has all of these words. With ${words} of ${patterns.length}: ` : ""}` +
        `${many(places, "section")} on ${many(pages.length, "page")} for “${query}”.`;
    out.replaceChildren(status, ...pages.map((found) => {
      const page = document.createElement("section");
      const heading = page.appendChild(document.createElement("h2"));
      heading.textContent = found[0].page;
      page.append(BookSearch.list(found.slice(0, BookSearch.SHOWN), patterns));
      const others = found.slice(BookSearch.SHOWN);
      if (others.length) {
        const folded = page.appendChild(document.createElement("details"));
        folded.appendChild(document.createElement("summary")).textContent = `${others.length} more on this page`;
        folded.append(BookSearch.list(others, patterns));
      }
      return page;
    }));
  },

  start() {
    const query = new URLSearchParams(window.location.search).get("q")?.trim();
    if (!query) return;
    document.querySelectorAll('input[name="q"]').forEach((field) => { field.value = query; });
    BookSearch.show(query, document.getElementById("search-results"));
  },
};

document.addEventListener("DOMContentLoaded", BookSearch.start);
