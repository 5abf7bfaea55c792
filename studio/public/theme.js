// Before anything is drawn, so that a dark page never flashes light.
document.documentElement.dataset.theme = localStorage.getItem("theme") ?? "system";
