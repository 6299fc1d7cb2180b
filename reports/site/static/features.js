// Map of features: pointer or arrow keys select an image, which is shown in a card; rings mark the same person.
"use strict";
(() => {
  const { tsne, images } = JSON.parse(document.getElementById("report").textContent);
  const plot = document.getElementById("features");
  const card = document.getElementById("feature-card");
  const choice = document.getElementById("panels");
  const shown = tsne.images.map((i) => images[i]);
  const people = [...new Set(shown.map((image) => image.identity))].sort((a, b) => a - b);
  // The colours of reports/tsne.py, repeated for more people; rings distinguish people of equal colour.
  const COLOURS = ["#0072b2", "#e69f00", "#009e73", "#cc0066", "#56b4e9", "#a63c00", "#7b3ff2", "#8fc400", "#808080",
    "#f58ac0"];
  const MODALITIES = { visible: "circle", infrared: "triangle-up" };
  const order = shown.map((_, i) => i).sort((a, b) =>
    shown[a].identity - shown[b].identity || shown[a].modality.localeCompare(shown[b].modality) || a - b);
  let panel = tsne.panels.length - 1;
  let chosen = null;

  const colourOf = (image) => COLOURS[people.indexOf(image.identity) % COLOURS.length];
  const pick = (values, indices) => indices.map((i) => values[i]);

  const traces = () => {
    const { x, y } = tsne.panels[panel];
    const of = (modality) => shown.flatMap((image, i) => (image.modality === modality ? [i] : []));
    const same = chosen === null ? [] : shown.flatMap((image, i) => (image.identity === shown[chosen].identity ? [i] : []));
    const ink = getComputedStyle(document.body).color;
    const ring = (indices, size, width) => ({
      x: pick(x, indices), y: pick(y, indices), mode: "markers", type: "scatter", hoverinfo: "skip", showlegend: false,
      marker: { symbol: "circle-open", size, color: ink, line: { width } },
    });
    return [
      ...Object.entries(MODALITIES).map(([modality, symbol]) => ({
        x: pick(x, of(modality)), y: pick(y, of(modality)), customdata: of(modality), name: modality,
        mode: "markers", type: "scatter", hovertemplate: "person %{text}<extra></extra>",
        text: of(modality).map((i) => String(shown[i].identity)),
        marker: { symbol, size: 9, color: of(modality).map((i) => colourOf(shown[i])), opacity: 0.9 },
      })),
      ring(same, 15, 1.5),
      ring(chosen === null ? [] : [chosen], 21, 2.5),
    ];
  };

  const draw = () => {
    const ink = getComputedStyle(document.body).color;
    const axis = { visible: false, showgrid: false, zeroline: false };
    const layout = {
      margin: { l: 8, r: 8, t: 8, b: 30 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: ink, family: "system-ui, sans-serif" }, xaxis: axis, yaxis: { ...axis, scaleanchor: "x" },
      legend: { orientation: "h", y: -0.02, x: 0, itemclick: false, itemdoubleclick: false }, hovermode: "closest",
      modebar: { bgcolor: "rgba(0,0,0,0)", color: ink, activecolor: ink }, dragmode: "pan", uirevision: String(panel),
    };
    return Plotly.react(plot, traces(), layout, {
      responsive: true, displaylogo: false, scrollZoom: false, modeBarButtons: [["zoomIn2d", "zoomOut2d", "resetScale2d"]],
    });
  };

  const choose = (index) => {
    if (index === chosen) return;
    chosen = index;
    const image = shown[index];
    card.replaceChildren(picture(image), lines(image));
    draw();
  };

  const picture = (image) => {
    if (!image.picture) {
      const none = document.createElement("p");
      none.className = "nopicture";
      none.textContent = "no picture";
      return none;
    }
    const element = document.createElement("img");
    element.src = image.picture;
    element.alt = `${image.modality} image of person ${image.identity}`;
    return element;
  };

  const lines = (image) => {
    const list = document.createElement("dl");
    for (const [name, value] of [["Person", image.identity], ["Modality", image.modality], ["Camera", image.camera], ["File", image.path]]) {
      if (value === null || value === undefined) continue;
      const [term, text] = ["dt", "dd"].map((tag) => document.createElement(tag));
      [term.textContent, text.textContent] = [name, value];
      list.append(term, text);
    }
    return list;
  };

  tsne.panels.forEach((each, i) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = each.title;
    button.setAttribute("aria-pressed", String(i === panel));
    button.addEventListener("click", () => {
      panel = i;
      [...choice.children].forEach((other, j) => other.setAttribute("aria-pressed", String(j === i)));
      draw();
    });
    choice.append(button);
  });

  plot.addEventListener("keydown", (event) => {
    const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
    if (!(event.key in steps)) return;
    event.preventDefault();
    const at = chosen === null ? (steps[event.key] > 0 ? -1 : 0) : order.indexOf(chosen);
    choose(order[(at + steps[event.key] + order.length) % order.length]);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw().then(() => {
    plot.on("plotly_hover", ({ points }) => points[0].customdata !== undefined && choose(points[0].customdata));
    plot.dataset.ready = "yes";
  });
})();
