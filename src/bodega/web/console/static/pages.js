/**
 * Which pages are there? One line each: path (the address is `/console/<path>`), module, text of its name, group, icon.
 * The order is the navigation's. A page's module is loaded when it is opened.
 */

/** @typedef {{path: string, module: string, title: string, group: string, icon: string}} Entry */

/** @type {Entry[]} */
export const PAGES = [
  { path: "today", module: "./pages/today.js", title: "today.title", group: "watch", icon: "today" },
  { path: "first", module: "./pages/first.js", title: "first.title", group: "watch", icon: "first" },
  { path: "search", module: "./pages/search.js", title: "search.title", group: "find", icon: "search" },
  { path: "inspect", module: "./pages/inspect.js", title: "inspect.title", group: "find", icon: "inspect" },
  { path: "rules", module: "./pages/rules.js", title: "rules.title", group: "find", icon: "rules" },
  { path: "doctor", module: "./pages/doctor.js", title: "doctor.title", group: "find", icon: "doctor" },
  { path: "shoppers", module: "./pages/shoppers.js", title: "shoppers.title", group: "learn", icon: "people" },
  { path: "models", module: "./pages/models.js", title: "models.title", group: "learn", icon: "models" },
  { path: "experiments", module: "./pages/experiments.js", title: "experiments.title", group: "prove", icon: "experiments" },
  { path: "fairness", module: "./pages/fairness.js", title: "fairness.title", group: "prove", icon: "fairness" },
  { path: "judgments", module: "./pages/judgments.js", title: "judgments.title", group: "prove", icon: "judgments" },
  { path: "loop", module: "./pages/loop.js", title: "loop.title", group: "prove", icon: "loop" },
  { path: "letters", module: "./pages/letters.js", title: "letters.title", group: "run", icon: "letters" },
  { path: "keys", module: "./pages/keys.js", title: "keys.title", group: "run", icon: "keys" },
  { path: "settings", module: "./pages/settings.js", title: "settings.title", group: "run", icon: "settings" },
];

/** Groups of the navigation, in order; each has a text `shell.group_<name>`. */
export const GROUPS = ["watch", "find", "learn", "prove", "run"];
