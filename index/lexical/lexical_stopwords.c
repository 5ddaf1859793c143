// English words that carry grammar, not content. A question without them ranks better and is
// answered faster, because they occur in half of all documents. Sorted by bytes, as folding leaves
// them; a possessive "'s" is already dropped.
#include "index/lexical/lexical_token.h"

#include <string.h>

#define LONGEST 10u

static const struct {
    uint8_t size;
    char text[LONGEST + 1];
} stop_words[] = {
    {1, "a"},         {5, "about"},     {5, "above"},    {5, "after"},       {5, "again"},
    {3, "all"},       {4, "also"},      {2, "am"},       {2, "an"},          {3, "and"},
    {3, "any"},       {6, "anyone"},    {8, "anything"}, {3, "are"},         {6, "aren't"},
    {2, "as"},        {2, "at"},        {2, "be"},       {7, "because"},     {4, "been"},
    {6, "before"},    {5, "being"},     {5, "below"},    {7, "between"},     {4, "both"},
    {3, "but"},       {2, "by"},        {3, "can"},      {5, "can't"},       {6, "cannot"},
    {5, "could"},     {8, "couldn't"},  {3, "did"},      {6, "didn't"},      {2, "do"},
    {4, "does"},      {7, "doesn't"},   {5, "doing"},    {5, "don't"},       {4, "down"},
    {6, "during"},    {4, "each"},      {6, "either"},   {3, "etc"},         {4, "ever"},
    {5, "every"},     {8, "everyone"},  {3, "few"},      {3, "for"},         {4, "from"},
    {7, "further"},   {3, "had"},       {6, "hadn't"},   {3, "has"},         {6, "hasn't"},
    {4, "have"},      {7, "haven't"},   {6, "having"},   {2, "he"},          {4, "he'd"},
    {5, "he'll"},     {3, "her"},       {4, "here"},     {4, "hers"},        {7, "herself"},
    {3, "him"},       {7, "himself"},   {3, "his"},      {3, "how"},         {1, "i"},
    {3, "i'd"},       {4, "i'll"},      {3, "i'm"},      {4, "i've"},        {2, "if"},
    {2, "in"},        {4, "into"},      {2, "is"},       {5, "isn't"},       {2, "it"},
    {4, "it'd"},      {5, "it'll"},     {3, "its"},      {6, "itself"},      {4, "just"},
    {4, "many"},      {2, "me"},        {5, "might"},    {4, "more"},        {4, "most"},
    {4, "much"},      {4, "must"},      {2, "my"},       {6, "myself"},      {2, "no"},
    {3, "nor"},       {3, "not"},       {2, "of"},       {3, "off"},         {2, "on"},
    {4, "once"},      {4, "only"},      {2, "or"},       {5, "other"},       {3, "our"},
    {4, "ours"},      {9, "ourselves"}, {3, "out"},      {4, "over"},        {3, "own"},
    {4, "same"},      {5, "shall"},     {3, "she"},      {5, "she'd"},       {6, "she'll"},
    {6, "should"},    {9, "shouldn't"}, {2, "so"},       {4, "some"},        {7, "someone"},
    {9, "something"}, {4, "such"},      {4, "than"},     {4, "that"},        {3, "the"},
    {5, "their"},     {6, "theirs"},    {4, "them"},     {10, "themselves"}, {4, "then"},
    {5, "there"},     {5, "these"},     {4, "they"},     {6, "they'd"},      {7, "they'll"},
    {7, "they're"},   {7, "they've"},   {4, "this"},     {5, "those"},       {7, "through"},
    {2, "to"},        {3, "too"},       {5, "under"},    {5, "until"},       {2, "up"},
    {4, "upon"},      {2, "us"},        {4, "very"},     {3, "via"},         {3, "was"},
    {6, "wasn't"},    {2, "we"},        {4, "we'd"},     {5, "we'll"},       {5, "we're"},
    {5, "we've"},     {4, "were"},      {7, "weren't"},  {4, "what"},        {4, "when"},
    {5, "where"},     {7, "whether"},   {5, "which"},    {5, "while"},       {3, "who"},
    {4, "whom"},      {5, "whose"},     {3, "why"},      {4, "will"},        {4, "with"},
    {6, "within"},    {7, "without"},   {5, "won't"},    {5, "would"},       {8, "wouldn't"},
    {3, "you"},       {5, "you'd"},     {6, "you'll"},   {6, "you're"},      {6, "you've"},
    {4, "your"},      {5, "yours"},     {8, "yourself"}, {10, "yourselves"},
};

// Where the words of each letter begin.
static const uint8_t first_of_letter[27] = {0,   17,  27,  32,  41,  47,  51,  51,  69,
                                            84,  85,  85,  85,  94,  97,  110, 110, 110,
                                            110, 122, 142, 147, 149, 175, 175, 184, 184};

bool memdb__is_stop_word(const uint8_t *word, size_t size) {
    if (size == 0 || size > LONGEST || word[0] < 'a' || word[0] > 'z') {
        return false;
    }
    uint32_t letter = (uint32_t)word[0] - 'a';
    for (uint32_t i = first_of_letter[letter]; i < first_of_letter[letter + 1]; i++) {
        if (stop_words[i].size == size && memcmp(stop_words[i].text, word, size) == 0) {
            return true;
        }
    }
    return false;
}
