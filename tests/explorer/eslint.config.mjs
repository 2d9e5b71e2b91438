// Linting of the explorer's JavaScript: npx eslint -c tests/explorer/eslint.config.mjs docs/explorer tests/explorer

const NAMES = [
  ...["document", "location", "navigator", "self", "addEventListener", "postMessage", "performance", "fetch", "URL"],
  ...["Worker", "Blob", "Response", "TextDecoder", "TextEncoder", "DecompressionStream", "WebAssembly", "Event"],
  ...["FormData", "Image", "setTimeout", "createImageBitmap", "getComputedStyle", "onmessage"],
];

export default [
  {
    files: ["**/*.js", "**/*.mjs"],
    languageOptions: {
      ecmaVersion: "latest",
      sourceType: "module",
      globals: Object.fromEntries(NAMES.map((name) => [name, name === "onmessage" ? "writable" : "readonly"])),
    },
    rules: {
      complexity: ["error", 14],
      eqeqeq: "error",
      "max-len": ["error", { code: 120, ignoreStrings: true, ignoreTemplateLiterals: true }],
      "max-lines-per-function": ["error", 50],
      "no-shadow": "error",
      "no-sparse-arrays": "error",
      "no-undef": "error",
      "no-unused-vars": ["error", { varsIgnorePattern: "^_" }],
      "no-var": "error",
      "prefer-const": "error",
    },
  },
];
