// Ranked lists, one query at a time: buttons, slider and arrow keys select the query.
"use strict";
(() => {
  const { rankings, images } = JSON.parse(document.getElementById("report").textContent);
  const slider = document.getElementById("query");
  const place = document.getElementById("ranking");

  const element = (tag, className, ...children) => {
    const made = document.createElement(tag);
    if (className) made.className = className;
    made.append(...children);
    return made;
  };

  const personOf = (image) => (image.identity < 0 ? "unknown person" : `person ${image.identity}`);

  const tile = (image, words, mark, verdict) => {
    const picture = image.picture
      ? Object.assign(element("img"), { src: image.picture, alt: `${image.modality} image of ${personOf(image)}` })
      : element("span", "nopicture", personOf(image));
    const camera = image.camera === null ? "" : `camera ${image.camera}`;
    const caption = element("figcaption", "", mark, element("span", "", words), element("span", "", camera));
    const figure = element("figure", `tile ${verdict}`, picture, caption);
    figure.title = `${personOf(image)}${image.path ? `, ${image.path}` : ""}`;
    return figure;
  };

  const show = () => {
    const number = Number(slider.value);
    const query = rankings.queries[number];
    const asked = images[query.image];
    const hits = query.ranked.filter(({ right }) => right).length;
    const list = element("ol", "tiles", ...query.ranked.map(({ image, score, right }, rank) => {
      const mark = element("b", right ? "right" : "wrong", right ? "✓" : "✗");
      mark.setAttribute("aria-label", right ? "the same person" : "another person");
      const item = element("li", "", tile(images[image], score === null ? "" : score.toFixed(3), mark, right ? "is-right" : "is-wrong"));
      item.value = rank + 1;
      return item;
    }));
    const words = `Query ${number + 1} of ${rankings.queries.length}: ${personOf(asked)}, average precision ` +
      `${(100 * query.ap).toFixed(1)} %, ${hits} of the first ${query.ranked.length} right.`;
    place.replaceChildren(
      element("p", "verdict", words),
      element("div", "row", tile(asked, "query", element("b", "", "?"), "is-query"), list));
    slider.setAttribute("aria-valuetext", words);
    document.getElementById("previous").disabled = number === 0;
    document.getElementById("next").disabled = number === rankings.queries.length - 1;
  };

  const step = (by) => {
    slider.value = Number(slider.value) + by;
    show();
  };
  document.getElementById("previous").addEventListener("click", () => step(-1));
  document.getElementById("next").addEventListener("click", () => step(1));
  slider.addEventListener("input", show);
  show();
})();
