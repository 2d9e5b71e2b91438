"""Words that prose does not hold: frequent slips, and spellings of the other side of the Atlantic."""

SLIPS = """
accomodate acheive accross adress agressive alot apparant appearence arguement asthetic begining beleive
calender catagory cemetary collegue comming commited comparision completly concious convinient curiousity
decison definate definately dependance desireable diffrent dissapear embarass enviroment equiped exagerate
excercise existance experiance familar finaly foriegn fourty freind gaurd goverment grammer greatful
harrass heigth immediatly independant indispensible inital inteligence knowlege labratory lenght liason
libary lisence maintainance mathmatics millenium mispell neccessary neccesary neighbouhood noticable
occassion occured occurence orignal paralell particulary percieve performence persistant posession
possibile prefered privelege probaly proccess publically recieve recomend refered relevent repitition
resistence responsability rythm seperate seperately similiar succesful succesfully supercede suprise
threshhold tommorow transfered truely unforseen usefull verison visable wether wich wierd writting
convolutonal gradiant dimesion paramter paramters activaton segmentaion lable labled teh hte adn
"""
ACROSS = """
color colors colored gray grays grayscale center centers centered neighbor neighbors neighborhood behavior
favorite flavor labeled labeling modeled traveled canceled catalog analog meter meters fiber honor humor
"""
