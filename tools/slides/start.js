// Set the mathematics while every slide is open, then start the slides; give figures the keys and fingers they need.
const FIGURES = ".live-figure, .slider-figure";

function figureOf(element) {
  return element?.closest?.(FIGURES);
}

// A presenter's keys always turn the page; Escape gives a figure's keys back to the slides.
document.addEventListener("keydown", (event) => {
  if (!figureOf(document.activeElement)) return;
  const turn = {PageDown: "next", PageUp: "prev"}[event.key];
  if (turn || event.key === "Escape") {
    event.preventDefault();
    event.stopPropagation();
    document.activeElement.blur();
    if (turn) Reveal[turn]();
  }
}, true);

// A live figure's sliders stand above its plots or beside them, whichever leaves the plots larger.
const LAYOUTS = [[], ["beside"], ["beside", "wide"]];

function fit(picture) {  // in its frame, as large as its proportions allow
  picture.style.cssText = "flex: 1 1 0; width: 100%";
  const {naturalWidth: width = picture.width, naturalHeight: height = picture.height} = picture;
  const side = Math.min(picture.clientWidth / width, picture.clientHeight / height);
  picture.style.cssText = `flex: none; width: ${side * width}px; height: ${side * height}px`;
}

function enlarge(plot) {  // its words: they're of 12 pixels where the plot is as small as on a phone
  const {width, height} = plot.viewBox.baseVal, scale = Math.min(plot.clientWidth / width, plot.clientHeight / height);
  plot.style.setProperty("--text", `${Math.min(15, Math.max(12, 21 / scale))}px`);
}

function arrange() {
  for (const picture of document.querySelectorAll(".outputs > img")) {
    if (picture.offsetParent && picture.naturalWidth && !picture.style.width) fit(picture);
  }
  for (const figure of document.querySelectorAll(".live-figure")) {
    if (!figure.offsetParent || figure.dataset.layout) continue;
    const plots = [...figure.querySelectorAll(".plots figure > svg, .plots canvas")];
    const put = (layout) => {
      figure.classList.remove("beside", "wide");
      figure.classList.add(...LAYOUTS[layout]);
      figure.dataset.layout = layout;
      plots.filter((plot) => plot.matches("canvas")).forEach(fit);
    };
    const sizes = LAYOUTS.map((_, layout) => {
      put(layout);
      if (figure.scrollHeight > figure.clientHeight + 1) return 0;
      return Math.min(...plots.map((plot) => {
        const {width, height} = plot.viewBox?.baseVal ?? plot;
        return Math.min(plot.clientWidth / width, plot.clientHeight / height);
      }));
    });
    put(sizes.indexOf(Math.max(...sizes)));
    plots.filter((plot) => plot.matches("svg")).forEach(enlarge);
  }
}

function start() {
  for (const figure of document.querySelectorAll(FIGURES)) figure.dataset.preventSwipe = "";
  for (const event of ["ready", "slidechanged", "pdf-ready"]) Reveal.on(event, arrange);
  Reveal.on("slidechanged", () => { if (figureOf(document.activeElement)) document.activeElement.blur(); });
  return Reveal.initialize({
    width: 1280, height: 720, margin: 0, maxScale: 4, center: false, hash: true, slideNumber: "c/t",
    transition: "none", scrollActivationWidth: null,
    pdfMaxPagesPerSlide: 1, pdfSeparateFragments: false, plugins: [RevealNotes],
    keyboardCondition: () => !figureOf(document.activeElement),
  });
}

window.MathJax = {
  tex: {inlineMath: [["$", "$"], ["\\(", "\\)"]], processEscapes: true},
  chtml: {matchFontHeight: false, scale: 1.1},
  options: {enableMenu: false, ignoreHtmlClass: "slides", processHtmlClass: "math"},
  startup: {pageReady: () => MathJax.startup.defaultPageReady().then(start)},
};
