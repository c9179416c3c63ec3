// The API, drawn by Swagger UI from the OpenAPI document.

// No links to single operations: Swagger UI puts them inside of buttons, where no keyboard reaches them. No list of
// schemas either: each operation shows its own.
SwaggerUIBundle({ url: "openapi.json", dom_id: "#api", validatorUrl: null, defaultModelsExpandDepth: -1 });
