package org.tessera.api;

/**
 * Tokens of a request.
 *
 * @param promptTokens all tokens of the prompt, pictures included
 * @param completionTokens generated tokens, the terminator included
 * @param imageTokens placeholder tokens of pictures among the prompt's
 * @param cachedTokens prompt tokens whose keys and values were there already
 */
public record Usage(int promptTokens, int completionTokens, int imageTokens, int cachedTokens) {}
