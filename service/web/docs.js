// The API, drawn by Swagger UI from the OpenAPI document.

SwaggerUIBundle({ url: "openapi.json", dom_id: "#api", deepLinking: true, validatorUrl: null });
