/* Sphinx's scores, but a word in a title comes before the same word as a name of the reference. */
var Scorer = {
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
  score: ([document, , , , score, , kind]) =>
    kind === "object" || document.startsWith("reference/") ? score - 9 : score,
};
