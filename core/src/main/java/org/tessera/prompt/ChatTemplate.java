package org.tessera.prompt;

import java.util.ArrayList;
import java.util.List;
import org.tessera.api.Message;
import org.tessera.api.Part;
import org.tessera.api.Role;

/**
 * ChatML as MiniCPM-V 2.6 was trained on it: {@code <|im_start|>role LF content <|im_end|> LF} for
 * each message, a default system message where there is none, the parts of a message joined with
 * one line feed.
 */
final class ChatTemplate {
  static final String DEFAULT_SYSTEM_PROMPT = "You are a helpful assistant.";

  private final List<Piece> pieces = new ArrayList<>();
  private int images;

  private ChatTemplate() {}

  static List<Piece> pieces(List<Message> messages, boolean addGenerationPrompt) {
    ChatTemplate template = new ChatTemplate();
    if (messages.getFirst().role() != Role.SYSTEM) {
      template.message(Message.system(DEFAULT_SYSTEM_PROMPT));
    }
    messages.forEach(template::message);
    if (addGenerationPrompt) {
      template.header(Role.ASSISTANT);
    }
    return List.copyOf(template.pieces);
  }

  private void header(Role role) {
    pieces.add(Piece.Control.MESSAGE_START);
    pieces.add(new Piece.Text(role.lowerCase() + "\n"));
  }

  private void message(Message message) {
    header(message.role());
    boolean first = true;
    for (Part part : message.content()) {
      if (!first) {
        pieces.add(new Piece.Text("\n"));
      }
      first = false;
      pieces.add(
          switch (part) {
            case Part.Text text -> new Piece.Text(text.text());
            case Part.Picture picture -> new Piece.Picture(images++);
          });
    }
    pieces.add(Piece.Control.MESSAGE_END);
    pieces.add(new Piece.Text("\n"));
  }
}
